import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// A run whose sums are not ours, or are rounded on the wire, says so wherever its bits are looked at.
@Suite struct OutsidePromiseTests {
  @Test(
    "journal, digest and inspect name a rounded wire, and are silent about a run without one", arguments: [true, false])
  func wire(isRounded: Bool) throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      let result = try Runs.train(TinyRuns.decoder, set: isRounded ? ["wire=bfloat16"] : [], ranks: 2, in: run)
      #expect(result.outcome.lastLoss.isFinite)
      let journal = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8)
      #expect(journal.contains("may differ with the number of ranks and hosts") == isRounded)
      let product = try ProcessRunner.product("espalier")
      let digest = try ProcessRunner.run(product, ["digest", run])
      #expect(
        digest.status == 0 && digest.errors.contains("outside the promise of one result") == isRounded, "\(digest)")
      #expect(digest.lines.last?.hasPrefix("total ") == true, "\(digest)")
      let inspect = try ProcessRunner.run(product, ["inspect", run])
      #expect(inspect.output.contains("wire: bfloat16)") == isRounded, "\(inspect)")
    }
  }
}
