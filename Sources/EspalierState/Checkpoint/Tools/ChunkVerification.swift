import EspalierComm

/// Decodes every chunk of some shards on several threads.
struct ChunkVerification: Sendable {
  let shards: [ShardReader]
  /// Names, by number.
  let tensors: [String]

  /// What is wrong, in the order of shards and pieces: one problem for each piece, with the number of its damaged chunks.
  func problems(workers: Int) -> [CheckpointError] {
    let pieces = shards.indices.flatMap { shard in shards[shard].pieces.indices.map { (shard: shard, piece: $0) } }
    let found = Monitor([Int: CheckpointError]())
    // A worker keeps what it finds; nothing is thrown.
    try? WorkerPool.forEach(pieces.count, workers: workers) {
      let work = Worker(self)
      return { number in
        let (shard, piece) = pieces[number]
        if let problem = work.problem(shard: shard, piece: piece) { found.update { $0[number] = problem } }
      }
    }
    return found.read { $0.sorted { $0.key < $1.key }.map(\.value) }
  }

  /// One thread's decoder and open file.
  private final class Worker {
    let all: ChunkVerification
    let decoder = ChunkDecoder()
    var open: (shard: Int, file: OpenFile)?

    init(_ all: ChunkVerification) { self.all = all }

    func problem(shard number: Int, piece pieceNumber: Int) -> CheckpointError? {
      let shard = all.shards[number]
      let piece = shard.pieces[pieceNumber]
      let name = all.tensors.indices.contains(piece.tensor) ? "\(all.tensors[piece.tensor])/\(piece.slot)" : piece.slot
      var first: CheckpointError?
      var damaged = 0
      do {
        let file = try open.flatMap { $0.shard == number ? $0.file : nil } ?? shard.open()
        open = (number, file)
        for (ordinal, index) in piece.chunks.enumerated() {
          do {
            _ = try decoder.decodeToScratch(
              shard.chunks[index], .init(tensor: piece.tensor, piece: pieceNumber, ordinal: ordinal), from: file,
              with: shard.fileSystem)
          } catch let error as CheckpointError {
            damaged += 1
            first = first ?? error
          }
        }
      } catch let error as CheckpointError { return error.naming(name) } catch {
        return .damaged(.inputOutput, file: shard.path, tensor: name, "\(error)")
      }
      guard let first else { return nil }
      guard damaged > 1 else { return first.naming(name) }
      return CheckpointError(
        first.kind, file: first.file, tensor: name,
        reason: "\(first.reason) (the first of \(damaged) damaged chunks among \(piece.chunks.count))",
        remedy: first.remedy, errorNumber: first.errorNumber)
    }
  }
}
