import EspalierTesting
import EspalierTrain
import Foundation
import Testing

@Suite struct CheckpointBenchmarkTests {
  @Test("a state as it is after training shrinks 1.17-fold and its bf16 weights 1.45-fold, and nothing is left behind")
  func ratios() throws {
    let folder = try TemporaryFolder()
    var options = CheckpointBenchmark.Options()
    (options.parameters, options.repeats, options.durability, options.directory) = (1 << 20, 1, .none, folder.path)
    let report = try Ranks.run(2) { [options] in try CheckpointBenchmark.run($0, options) }[0]
    #expect(report.rawBytes == 12 << 20 && Double(report.rawBytes) / Double(report.storedBytes) >= 1.17)
    #expect(
      report.rows.map { "\($0.operation) \($0.state)" } == [
        "copy f32 state", "stage f32 state", "encode f32 state", "write f32 state", "read f32 state",
        "verify f32 state", "reshard f32 state", "reshard by copy f32 state",
        "stage bf16 weights", "encode bf16 weights", "write bf16 weights", "read bf16 weights", "verify bf16 weights",
        "reshard bf16 weights", "reshard by copy bf16 weights",
      ])
    #expect(report.rows.allSatisfy { $0.gigabytesPerSecond > 0 && $0.seconds > 0 })
    #expect(report.rows.filter { $0.ratio > 0 }.allSatisfy { $0.ratio >= ($0.state == "f32 state" ? 1.17 : 1.45) })
    #expect(report.saveSeconds.count == 1 && report.loadSeconds.count == 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }
}
