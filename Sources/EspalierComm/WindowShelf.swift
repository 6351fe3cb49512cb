/// The windows of one rank's communication thread.
///
/// Giving one back is an act of all its ranks together, but slabs die when each rank's program lets go of them. So a window is retired when its
/// last slab is gone, and given back at the next window that is made after all ranks have retired it,
/// when they ask for it together, or at the end.
final class WindowShelf {
  private struct Entry {
    let id: Int
    let memory: WindowMemory
    weak var window: SharedWindow?
  }

  private var entries: [Entry] = []
  private var nextID = 0
  private let retired = Monitor(Set<Int>())

  /// Makes the window of a layout, or says why there is none; the same on every rank.
  ///
  /// - Parameter bytes: of this rank's slabs.
  /// - Returns: nil without a reason where no rank has a neighbour.
  func make(bytes: Int, on runner: CollectiveRunner) throws -> (window: SharedWindow?, refusal: String?) {
    guard runner.hosts.hasNeighbours, runner.options.usesWindows else { return (nil, nil) }
    try giveBackRetired(on: runner)
    let id = nextID
    nextID += 1
    let needed = bytes + WindowSpace.controlBytes
    let needs = try runner.gather(words: [UInt64(needed)]).map { Int($0[0]) }
    let host = runner.hosts.hostOfRank[runner.rank]
    let onHost = runner.hosts.hosts[host].reduce(0) { $0 + needs[$1] }
    var refusal = ""
    do {
      if let space = try runner.backend.windowSpace() {
        refusal = WindowSpace.refusal(needed: onHost, free: space.freeBytes, directory: space.directory) ?? ""
      }
    } catch let error as CommunicationError {
      refusal = error.reason
    }
    if let reason = try firstReason(refusal, on: runner) { return (nil, reason) }
    var memory: WindowMemory?
    do { memory = try runner.backend.makeWindow(id: id, bytes: needed) } catch let error as CommunicationError {
      if error.kind == .peerFailed || error.kind == .peerFinished { throw error }
      refusal = error.reason
    }
    if let reason = try firstReason(refusal, on: runner) {
      // Where it was had, all ranks of the host have it.
      if let memory { try runner.backend.freeWindow(memory) }
      return (nil, reason)
    }
    guard let memory else { return (nil, nil) }
    let window = SharedWindow(id: id, memory: memory, retired: retired)
    entries.append(Entry(id: id, memory: memory, window: window))
    return (window, nil)
  }

  /// Gives everything back, in the order in which it was made.
  func close(_ backend: any Backend) throws {
    for entry in entries {
      entry.window?.close()
      try backend.freeWindow(entry.memory)
    }
    entries = []
  }

  /// Collective.
  func giveBackRetired(on runner: CollectiveRunner) throws {
    let mine = retired.read { $0 }.sorted().map { UInt64($0) }
    let everyone = try runner.gather(words: mine).map(Set.init)
    let gone = entries.filter { entry in everyone.allSatisfy { $0.contains(UInt64(entry.id)) } }
    for entry in gone { try runner.backend.freeWindow(entry.memory) }
    let ids = Set(gone.map(\.id))
    entries.removeAll { ids.contains($0.id) }
    retired.update { $0.subtract(ids) }
  }

  private func firstReason(_ reason: String, on runner: CollectiveRunner) throws -> String? {
    try runner.gather(bytes: Array(reason.utf8)).lazy.map { String(decoding: $0, as: UTF8.self) }.first { !$0.isEmpty }
  }
}

extension CollectiveRunner {
  /// Every rank's numbers, by rank.
  fileprivate func gather(words: [UInt64]) throws -> [[UInt64]] {
    try gather(bytes: words.withUnsafeBytes { Array($0) }).map { bytes in
      bytes.withUnsafeBytes { raw in
        (0..<raw.count / 8).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self) }
      }
    }
  }
}
