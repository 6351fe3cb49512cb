import EspalierComm

/// Reads every element of some shards and says of each shard what its writer had said: ranges, digests, sizes.
struct ShardSurvey: Sendable {
  let shards: [ShardReader]
  let plan: CheckpointPlan

  /// - Parameter hosts: of the writers, by shard.
  /// - Throws: the first damage.
  func summaries(hosts: [String], workers: Int) throws -> [ShardSummary] {
    let pieces = shards.indices.flatMap { shard in shards[shard].pieces.indices.map { (shard: shard, piece: $0) } }
    let digests = Monitor([Digest](repeating: .zero, count: pieces.count))
    try WorkerPool.forEach(pieces.count, workers: workers) {
      let decoder = ChunkDecoder()
      return { number in
        let digest = try digest(of: pieces[number].piece, in: shards[pieces[number].shard], decoder)
        digests.update { $0[number] = digest }
      }
    }
    var next = 0
    return zip(shards, hosts).map { shard, host in
      let summaries = shard.pieces.enumerated().map { number, piece in
        ShardSummary.Piece(
          tensor: piece.tensor, slot: piece.slot, lower: piece.range.lowerBound, upper: piece.range.upperBound,
          element: piece.element, digest: digests.read { $0[next + number] })
      }
      next += summaries.count
      return ShardSummary(
        file: "\(shard.folder)/\(shard.name)", rank: Int(shard.header.rank), host: host,
        bytes: shard.length, chunks: shard.chunks.count, indexChecksum: shard.indexChecksum,
        rawBytes: shard.chunks.reduce(0) { $0 + $1.rawLength },
        storedBytes: shard.chunks.reduce(0) { $0 + $1.storedLength }, pieces: summaries)
    }
  }

  private func digest(of number: Int, in shard: ShardReader, _ decoder: ChunkDecoder) throws -> Digest {
    let piece = shard.pieces[number]
    guard plan.tensors.indices.contains(piece.tensor) else {
      throw CheckpointError.damaged(
        .invalidIndex, file: shard.path, "piece \(number) is of tensor \(piece.tensor), of which nothing is known")
    }
    let name = plan.tensors[piece.tensor].name
    let key = Digest.key(parameter: name, slot: piece.slot)
    let file = try shard.open()
    var digest = Digest.zero
    for (ordinal, index) in piece.chunks.enumerated() {
      let chunk = shard.chunks[index]
      do {
        let elements = try decoder.decodeToScratch(
          chunk, .init(tensor: piece.tensor, piece: number, ordinal: ordinal), from: file, with: shard.fileSystem)
        digest += Digest(
          key: key, firstIndex: piece.range.lowerBound + chunk.firstElement, stored: elements, piece.element,
          count: chunk.elementCount)
      } catch let error as CheckpointError { throw error.naming("\(name)/\(piece.slot)") }
    }
    return digest
  }
}
