import ArgumentParser
import EspalierComm
import EspalierTensor
import EspalierTrain

struct SampleCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "sample",
    abstract: "Lets a language model continue a text.",
    discussion: """
      Prints the prompt and what the model writes after it, as UTF-8; bytes that are none become \u{FFFD}. The same seed gives the same text.
      """)

  @OptionGroup var checkpoint: CheckpointArgument

  @Option(parsing: .unconditional, help: ArgumentHelp("The text to go on from.", valueName: "text"))
  var prompt: String

  @Option(help: ArgumentHelp("Bytes to write.", valueName: "n"))
  var tokens = 256

  @Option(help: ArgumentHelp("How daring: 0 always takes the likeliest byte, 1 the model's own odds.", valueName: "t"))
  var temperature = 0.8

  @Option(help: ArgumentHelp("Keys the random numbers.", valueName: "s"))
  var seed: UInt64 = 1

  func validate() throws {
    guard tokens >= 0 else { throw ValidationError("--tokens must be 0 or more, not \(tokens).") }
    guard temperature >= 0, temperature.isFinite else {
      throw ValidationError("--temperature must be 0 or more, not \(temperature).")
    }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    let reader = try checkpoint.open()
    let settings = try reader.settings(context.catalogue)
    let request = Sampling(
      prompt: Array(prompt.utf8), count: tokens, temperature: temperature, seed: seed)
    Kernels.threads = settings.threads
    let written = try World.inProcess(ranks: 1) { [catalogue = context.catalogue] communicator in
      try request.run(reader, settings, catalogue, communicator)
    }
    Output.line(String(decoding: request.prompt + written[0], as: UTF8.self))
    return 0
  }
}
