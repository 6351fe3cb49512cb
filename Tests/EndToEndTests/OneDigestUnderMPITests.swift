import EspalierTesting
import Foundation
import Testing

/// The same recipe under mpirun, through the command itself, ends with the digest of one in-process rank.
@Suite(.enabled(if: MPIRun.runs, Comment(rawValue: MPIRun.skipReason)), .serialized) struct OneDigestUnderMPITests {
  /// Trains under mpirun and returns what `espalier digest` says of the checkpoint.
  private func digest(
    of text: String = TinyRuns.decoder, ranks: Int, _ overrides: [String]
  ) throws -> (digest: String, output: String) {
    try Runs.inTemporaryDirectory { directory in
      let recipe = directory + "/recipe.yaml", run = directory + "/run"
      try text.write(toFile: recipe, atomically: true, encoding: .utf8)
      let trained = try MPIRun.run(
        ranks: ranks, product: "espalier",
        ["train", recipe, "--run", run, "--set", "checks.collectives=true", "--set", "checks.memory=true"]
          + overrides.flatMap { ["--set", $0] })
      try #require(trained.status == 0, "\(trained)")
      let digest = try ProcessRunner.run(try ProcessRunner.product("espalier"), ["digest", run])
      try #require(digest.status == 0, "\(digest)")
      let total = try #require(digest.lines.last { $0.hasPrefix("total ") })
      return (String(total.dropFirst(6)), trained.output)
    }
  }

  @Test(
    "ranks, stages and recompute under MPI change no bit",
    arguments: [
      (1, 0, false), (1, 3, true), (2, 0, false), (2, 1, false), (2, 2, true), (2, 3, false), (3, 0, true),
      (3, 1, false), (3, 2, false), (3, 3, true),
    ])
  func oneDigest(ranks: Int, stage: Int, recompute: Bool) throws {
    let reference = try OneDigestTests.reference.get().prefix { $0 != " " }
    let found = try digest(ranks: ranks, ["stage=\(stage)", "recompute=\(recompute)"])
    #expect(found.digest == reference)

    // Real processes: every rank says where it is, and no two share a pid.
    let members = found.output.matches(of: /rank (\d+) pid (\d+)/)
    #expect(members.compactMap { Int($0.1) }.sorted() == Array(0..<ranks))
    #expect(Set(members.map { $0.2 }).count == ranks)
    print("world of \(ranks), stage \(stage):", found.output.split(separator: "\n").filter { $0.hasPrefix("on ") })
  }

  @Test("matrices with owners, and matrices that are cut and brought together, likewise", arguments: [2, 3], [1, 3])
  func matrices(ranks: Int, stage: Int) throws {
    let reference = try MuonRunsTests.reference.get().prefix { $0 != " " }
    #expect(try digest(of: MuonRunsTests.recipe, ranks: ranks, ["stage=\(stage)"]).digest == reference)
  }
}
