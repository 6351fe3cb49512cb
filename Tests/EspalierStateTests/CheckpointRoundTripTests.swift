import EspalierState
import EspalierTensor
import Foundation
import Testing

@Suite struct CheckpointRoundTripTests {
  /// Empty, scalar, one element, primes, and more than one chunk of 1 KiB.
  static let state = SampleState(shapes: [[0, 5], [], [1], [7, 13], [3, 5, 2], [2003], [31, 37]])

  @Test("every bit comes back, however many ranks wrote", arguments: 1...4, Compression.allCases)
  func roundTrip(writers: Int, compression: Compression) throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      let state = Self.state
      try state.save(to: directory, step: 20, writers: writers, chunkBytes: 1024, compression: compression)
      let (reader, refused) = try directory.newestValid()
      #expect(refused.isEmpty)
      let checkpoint = try #require(reader)
      #expect(checkpoint.path.hasSuffix("/checkpoints/step-0000000020"))
      #expect(checkpoint.step == 20)
      #expect(try state.difference(from: checkpoint) == nil)
    }
  }
}
