import EspalierState
import Foundation

/// What a disk may hold after a power cut, worked out from the calls that were made and from what POSIX promises of them: the bytes
/// of a file are safe when the file was synced, a name when its folder was, and of the rest any part may be there.
///
/// Names change in folders one by one: of the changes since the last sync of a folder, each may have reached the disk or not, whatever
/// became of those before it and of other folders. A rename within a folder is one change.
final class SimulatedDisk {
  final class Node {
    let isFolder: Bool
    var bytes: [UInt8] = []
    var durable: [UInt8] = []
    var names: [String: Node] = [:]
    var durableNames: [String: Node] = [:]
    /// Since the last sync; numbered over the whole disk.
    var pending: [(number: Int, change: Change)] = []

    init(isFolder: Bool) { self.isFolder = isFolder }
  }

  enum Change {
    case add(String, Node)
    case remove(String)
    case rename(String, String, Node)

    func apply(to names: inout [String: Node]) {
      switch self {
      case .add(let name, let node): names[name] = node
      case .remove(let name): names[name] = nil
      case .rename(let old, let new, let node):
        names[old] = nil
        names[new] = node
      }
    }
  }

  /// What the bytes of a file that were not synced have become.
  enum Tail: CaseIterable { case lost, torn, zeros, written }

  /// One way in which the power may have gone.
  struct Cut {
    /// Which changes of names survive, by folder and number.
    let survives: (Node, Int) -> Bool
    let tail: Tail
  }

  private let base: String
  private let root = Node(isFolder: true)
  private var changes = 0

  /// - Parameter base: a folder that was safe before the first event.
  init(base: String, replaying events: some Sequence<FileSystem.Event>) {
    self.base = base
    for event in events { replay(event) }
  }

  private func parts(_ path: String) -> [String] {
    precondition(path.hasPrefix(base), "\(path) is not on the disk at \(base)")
    return path.dropFirst(base.count).split(separator: "/").map(String.init)
  }

  private func node(_ parts: some Sequence<String>) -> Node {
    parts.reduce(root) { $0.names[$1]! }
  }

  private func change(_ path: String, _ make: (_ name: String, _ folder: Node) -> Change) {
    let parts = parts(path)
    let folder = node(parts.dropLast())
    let change = make(parts.last!, folder)
    change.apply(to: &folder.names)
    folder.pending.append((changes, change))
    changes += 1
  }

  private func replay(_ event: FileSystem.Event) {
    switch event.call {
    case .create: change(event.path) { name, _ in .add(name, Node(isFolder: false)) }
    case .makeDirectory: change(event.path) { name, _ in .add(name, Node(isFolder: true)) }
    case .removeFile, .removeDirectory: change(event.path) { name, _ in .remove(name) }
    case .rename:
      let new = parts(event.target)
      precondition(new.dropLast() == parts(event.path).dropLast(), "a rename from folder to folder")
      change(event.path) { name, folder in .rename(name, new.last!, folder.names[name]!) }
    case .link:
      let file = node(parts(event.path))
      change(event.target) { name, _ in .add(name, file) }
    case .write: node(parts(event.path)).bytes += event.bytes
    case .truncate: node(parts(event.path)).bytes = []
    case .sync:
      let node = node(parts(event.path))
      node.durable = node.bytes
      node.durableNames = node.names
      node.pending = []
    default: preconditionFailure("\(event.call.rawValue) changes nothing")
    }
  }

  /// Every cut that is worth a look: all or nothing, each folder and each change alone and missing, and every fate of unsynced bytes.
  var cuts: [Cut] {
    var cuts = Tail.allCases.map { Cut(survives: { _, _ in true }, tail: $0) }
    cuts.append(Cut(survives: { _, _ in false }, tail: .lost))
    for folder in folders where !folder.pending.isEmpty {
      cuts.append(Cut(survives: { node, _ in node === folder }, tail: .lost))
      cuts.append(Cut(survives: { node, _ in node !== folder }, tail: .lost))
      guard folder.pending.count > 1 else { continue }
      for (number, _) in folder.pending {
        cuts.append(Cut(survives: { $1 == number }, tail: .lost))
        cuts.append(Cut(survives: { $1 != number }, tail: .lost))
      }
    }
    return cuts
  }

  private var folders: [Node] {
    var found: [Node] = []
    func visit(_ node: Node) {
      guard node.isFolder, !found.contains(where: { $0 === node }) else { return }
      found.append(node)
      for child in node.names.values { visit(child) }
      for child in node.durableNames.values { visit(child) }
    }
    visit(root)
    return found
  }

  /// What is on the disk after a cut: files with their bytes, folders with nil, by path below the base.
  func contents(after cut: Cut) -> [String: [UInt8]?] {
    var contents: [String: [UInt8]?] = [:]
    func visit(_ node: Node, _ path: String) {
      guard node.isFolder else {
        let rest = node.bytes.count - node.durable.count
        contents[path] =
          switch cut.tail {
          case .lost: node.durable
          case .torn: Array(node.bytes.prefix(node.durable.count + rest / 2))
          case .zeros: node.durable + [UInt8](repeating: 0, count: max(rest, 0))
          case .written: node.bytes
          }
        return
      }
      if !path.isEmpty { contents.updateValue(nil, forKey: path) }
      var names = node.durableNames
      for (number, change) in node.pending where cut.survives(node, number) { change.apply(to: &names) }
      for (name, child) in names { visit(child, path + "/" + name) }
    }
    visit(root, "")
    return contents
  }

  /// Writes them into a folder that exists.
  static func write(_ contents: [String: [UInt8]?], to folder: String) throws {
    for (path, bytes) in contents.sorted(by: { $0.key < $1.key }) {
      if let bytes {
        try Data(bytes).write(to: URL(filePath: folder + path))
      } else {
        try FileManager.default.createDirectory(atPath: folder + path, withIntermediateDirectories: false)
      }
    }
  }
}
