import EspalierTesting
import EspalierTrain
import Testing

@Suite struct CollectivesBenchmarkTests {
  @Test("every size has a time, and in process no time of MPI")
  func rows() throws {
    let rows = try Ranks.run(2) { try CollectivesBenchmark.run($0, sizes: [4, 4096, 1 << 20], repeats: 1) }[0]
    #expect(rows.map(\.bytes) == [4, 4096, 1 << 20])
    #expect(rows.allSatisfy { $0.orderedMilliseconds > 0 && $0.nativeMilliseconds == nil && $0.ratio == nil })
    #expect(rows.allSatisfy { $0.path == "shared windows" && $0.predictedMilliseconds > 0 })
    #expect(CollectivesBenchmark.sizes.first == 4 && CollectivesBenchmark.sizes.last == 64 << 20)
  }
}
