import ArgumentParser
import EspalierState

struct VerifyCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Checks that checkpoints are whole.",
    discussion: """
      Checks COMMIT, the manifest, and header, index and footer of every shard; with --full also every chunk. A run directory stands for \
      all its checkpoints. Ends with exit code 1 if anything is wrong, and names every faulty file, tensor and slot.
      """)

  @OptionGroup var checkpoint: CheckpointArgument
  @Flag(help: "Read and check every byte.") var full = false

  func run(_ context: CommandContext) throws -> Int32 {
    var isWhole = true
    for folder in try checkpoint.all() {
      let problems = CheckpointReader.problems(at: folder, full: full, workers: WorkerPool.cores)
      for problem in problems { FailureReport.print(problem) }
      if problems.isEmpty { Output.line("\(folder): whole\(full ? "" : " (contents not read; --full does)")") }
      isWhole = isWhole && problems.isEmpty
    }
    return isWhole ? 0 : 1
  }
}
