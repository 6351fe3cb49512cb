internal import Foundation

extension Communicator {
  /// Memory like `slab(count:)` for a whole layout, in a window that the ranks of this host share where they can: reductions and gathers then
  /// read and write the neighbours' in place.
  ///
  /// Every rank calls it at the same place of its program; counts may differ. Once for a layout, never in a step: it is slow, and the memory of a
  /// window is given back only when all its ranks have let go of all its slabs. Where windows cannot be had the slabs are private,
  /// which changes no bit, and the reason is told once (`CommunicationOptions.onNotice`). A failure of another rank shows in the next collective.
  public func slabs(counts: [Int], label: String) -> [Slab] {
    var offsets = [0]
    for count in counts { offsets.append((offsets.last ?? 0) + alignedBytes(count: count) / 4) }
    let bytes = 4 * (offsets.last ?? 0)
    let made = try? queue.submit(.window, label: label) { try $0.shelf.make(bytes: bytes, on: $0) }.wait()
    if let refusal = made?.refusal { notice(refusal) }
    return zip(counts, offsets).map { count, offset in
      Slab(
        count: count, in: made?.window.map { ($0, offset) }, poisons: options.poisonsMemory, ledger: ledger)
    }
  }

  /// Gives back the memory of windows whose slabs all ranks have let go of. Collective.
  package func reclaimSlabs(label: String) throws {
    try queue.submit(.window, label: label) { runner in
      if runner.hosts.hasNeighbours { try runner.shelf.giveBackRetired(on: runner) }
    }.wait()
  }

  /// Tells once why slabs are private.
  private func notice(_ refusal: String) {
    let isFirst = ledger.update { statistics in
      defer { statistics.windowRefusal = refusal }
      return statistics.windowRefusal == nil
    }
    guard isFirst, rank == 0 else { return }
    let text = "slabs are not shared between the ranks of a host: \(refusal); reductions go through messages instead"
    if let onNotice = options.onNotice { return onNotice(text) }
    FileHandle.standardError.write(Data("warning: \(text)\n".utf8))
  }

  /// Ranks and hosts in words, and how they reach each other.
  package var topology: String {
    let count = hosts.hosts.count
    let place = count == 1 ? "one host" : "\(count) hosts"
    guard size > 1 else { return "1 rank" }
    let refusal = statistics.windowRefusal
    let within =
      !hosts.hasNeighbours ? "" : refusal.map { "; messages on a host: \($0)" } ?? "; shared windows on a host"
    let between = count == 1 ? "" : "; messages between hosts\(options.wire == .bfloat16 ? " in bfloat16" : "")"
    return "\(size) ranks on \(place)\(within)\(between)"
  }
}
