package import EspalierComm

/// In-process ranks with every check on, as tests want them.
package enum Ranks {
  /// Collectives compared before they run, slabs and staging poisoned after use, chunks so small that every run has several.
  package static let options = CommunicationOptions(
    deadlineSeconds: 30, checksCollectives: true, chunkElements: 64, poisonsMemory: true)

  /// Runs `body` on `count` ranks, each a thread with a large stack, and returns what they return by rank.
  ///
  /// Everything that is not Sendable (tape, pool, store) is made inside; pools with `Pool(poisons: true)`.
  package static func run<R: Sendable>(
    _ count: Int, options: CommunicationOptions = Ranks.options, _ body: @escaping @Sendable (Communicator) throws -> R
  ) throws -> [R] {
    try World.inProcess(ranks: count, options: options, body)
  }
}
