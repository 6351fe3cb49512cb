/// What a collective does.
public enum CollectiveKind: String, Sendable, Hashable, CaseIterable, Codable {
  case reduceScatter, allGather, broadcast, gatherValues, gatherBytes, broadcastBytes, barrier, close
  /// The ordered reduction with the sum on every rank.
  case allReduce
  /// Shared memory for slabs.
  case window
  /// A part from every rank for every rank.
  case allToAll
}

/// A request as a value: which collective stands at which place of this rank's order.
///
/// Every rank issues the same collectives in the same order, so two ranks are at the same place when these are equal.
package struct Collective: Sendable, Hashable, CustomStringConvertible {
  package let kind: CollectiveKind
  package let label: String
  /// Counts this rank's collectives from 0.
  package let sequence: Int
  /// Where the run is cut among the ranks, or the sizes that all ranks must agree on; empty if there are none.
  package let boundaries: [Int]

  package init(kind: CollectiveKind, label: String, sequence: Int, boundaries: [Int]) {
    self.kind = kind
    self.label = label
    self.sequence = sequence
    self.boundaries = boundaries
  }

  package var description: String { "\(kind.rawValue) '\(label)' (sequence \(sequence))" }
}

extension Collective {
  /// Equal where two ranks are at the same place of the order; FNV-1a.
  var signature: UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func mix(_ word: UInt64) { hash = (hash ^ word) &* 0x100_0000_01b3 }
    mix(UInt64(sequence))
    for byte in kind.rawValue.utf8 { mix(UInt64(byte)) }
    for byte in label.utf8 { mix(UInt64(byte)) }
    for offset in boundaries { mix(UInt64(bitPattern: Int64(offset))) }
    return hash
  }
}

/// A `Collective` in a message of fixed size, so that ranks at different collectives can still read each other's.
struct CollectiveHeader: Equatable {
  static let byteCount = 192
  private static let labelBytes = byteCount - 33

  let kind: UInt8
  let sequence: UInt64
  let labelHash: UInt64
  let boundariesHash: UInt64
  let boundariesCount: UInt64
  /// The label, cut to what fits; `labelHash` covers the rest.
  let label: [UInt8]

  init(_ collective: Collective) {
    kind = UInt8(CollectiveKind.allCases.firstIndex(of: collective.kind) ?? 0)
    sequence = UInt64(collective.sequence)
    labelHash = Self.hash(collective.label.utf8.lazy.map { UInt64($0) })
    boundariesHash = Self.hash(collective.boundaries.lazy.map { UInt64(bitPattern: Int64($0)) })
    boundariesCount = UInt64(collective.boundaries.count)
    let bytes = Array(collective.label.utf8.prefix(Self.labelBytes))
    label = bytes + Array(repeating: 0, count: Self.labelBytes - bytes.count)
  }

  init(bytes: ArraySlice<UInt8>) {
    let bytes = Array(bytes)
    func word(_ index: Int) -> UInt64 { bytes[8 * index..<8 * index + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    sequence = word(0)
    labelHash = word(1)
    boundariesHash = word(2)
    boundariesCount = word(3)
    kind = bytes[32]
    label = Array(bytes[33..<Self.byteCount])
  }

  var bytes: [UInt8] {
    let words = [sequence, labelHash, boundariesHash, boundariesCount]
    return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } } + [kind] + label
  }

  /// This place of the order in words, with its sizes where they are all that differs from `other`.
  func description(beside other: CollectiveHeader) -> String {
    let kinds = CollectiveKind.allCases
    let name = kinds.indices.contains(Int(kind)) ? kinds[Int(kind)].rawValue : "?"
    let text = String(decoding: label.prefix { $0 != 0 }, as: UTF8.self)
    let isSamePlace = kind == other.kind && sequence == other.sequence && labelHash == other.labelHash
    let sizes = isSamePlace ? " with \(boundariesCount) sizes #\(String(boundariesHash, radix: 16))" : ""
    return "\(name) '\(text)' (sequence \(sequence))\(sizes)"
  }

  /// FNV-1a over words: enough to tell two honest programs apart.
  private static func hash(_ words: some Sequence<UInt64>) -> UInt64 {
    words.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ $1) &* 0x100_0000_01b3 }
  }
}
