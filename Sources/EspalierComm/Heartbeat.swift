/// One datagram between the watchdogs of two ranks, outside MPI: who sends it, and where that rank is.
package struct Heartbeat: Equatable {
  package enum Kind: UInt32, Sendable {
    /// "I live, and this is where I am"; rank 0 answers in kind.
    case beat = 1
    /// The sender leaves: it has finished, or it has failed and said why.
    case farewell
    /// The sender has found the culprit and told everyone; whoever hears it ends.
    case verdict
  }

  /// "ESPBEAT1"
  static let magic: UInt64 = 0x3154_4145_4250_5345
  static let headerBytes = 24
  /// Less than what any network carries in one piece.
  static let maximumBytes = 1400

  package let kind: Kind
  package let rank: Int
  /// Of this world; a datagram with another is not for us.
  let token: UInt64
  /// The sender's status block, or the text of a verdict.
  package let body: [UInt8]

  package init(_ kind: Kind, rank: Int, token: UInt64, body: [UInt8]) {
    self.kind = kind
    self.rank = rank
    self.token = token
    self.body = Array(body.prefix(Self.maximumBytes - Self.headerBytes))
  }

  /// Nil for bytes that are no heartbeat of this world.
  package init?(bytes: UnsafeRawBufferPointer, token: UInt64) {
    guard let base = bytes.baseAddress, bytes.count >= Self.headerBytes, bytes.count <= Self.maximumBytes,
      base.number(at: 0) == Self.magic, base.number(at: 8) == token, let kind = Kind(rawValue: base.small(at: 16))
    else { return nil }
    let body = [UInt8](bytes[Self.headerBytes...])
    guard kind == .verdict || body.count == FlightLayout.statusBytes else { return nil }
    self.init(kind, rank: Int(base.small(at: 20)), token: token, body: body)
  }

  package var bytes: [UInt8] {
    let header = UnsafeMutableRawPointer.allocate(byteCount: Self.headerBytes, alignment: 8)
    defer { header.deallocate() }
    header.put(Self.magic, at: 0)
    header.put(token, at: 8)
    header.put(kind.rawValue, at: 16)
    header.put(UInt32(rank), at: 20)
    return [UInt8](UnsafeRawBufferPointer(start: header, count: Self.headerBytes)) + body
  }

  /// Where the sender is; nil for a verdict, or for a block that was written while it was copied.
  package var status: FlightStatus? { kind == .verdict ? nil : FlightStatus(body) }
}
