internal import Foundation
import Synchronization

/// Where a rank's watchdog can be reached.
struct HeartbeatContact: Codable, Sendable, Equatable {
  /// IPv4, in network order; several where a host has several networks.
  var addresses: [UInt32]
  /// 0 where the rank has no socket.
  var port: UInt16
  /// Of the rank's process, so that its neighbours can tell it from a later one of its number.
  var startTicks: UInt64
  /// Rank 0's marks every datagram of this world.
  var token: UInt64
}

/// The socket of one rank's watchdog: datagrams to and from the other ranks, outside MPI.
///
/// Sending is safe on every thread; receiving belongs to the watchdog's.
final class HeartbeatLink: Sendable {
  struct Address: Sendable, Hashable {
    let ip: UInt32
    let port: UInt16
  }

  private let socket: Int32
  private let rank: Int
  private let contacts: [HeartbeatContact]
  private let token: UInt64
  /// The address that a rank has last been heard from, and when.
  private let known: Mutex<[Int: (address: Address, at: UInt64)]>

  init(_ socket: HeartbeatSocket, rank: Int, contacts: [HeartbeatContact]) {
    self.socket = socket.descriptor
    self.rank = rank
    self.contacts = contacts
    token = contacts[0].token
    known = Mutex([:])
  }

  deinit { close(socket) }

  /// Sends to one rank: to the address that it answers from, or to all that it may have while it is silent.
  func send(_ kind: Heartbeat.Kind, _ body: [UInt8], to peer: Int) {
    let bytes = Heartbeat(kind, rank: rank, token: token, body: body).bytes
    let now = FlightClock.monotonic()
    let answering = known.withLock { $0[peer] }
    if let answering, FlightClock.seconds(from: answering.at, to: now) < 2 {
      return send(bytes, to: answering.address)
    }
    for ip in contacts[peer].addresses where contacts[peer].port != 0 {
      send(bytes, to: Address(ip: ip, port: contacts[peer].port))
    }
  }

  private func send(_ bytes: [UInt8], to address: Address) {
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = address.port.bigEndian
    place.sin_addr.s_addr = address.ip
    // What cannot be sent is as good as lost on the way: the next beat follows.
    _ = bytes.withUnsafeBytes { body in
      withUnsafePointer(to: &place) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          sendto(
            socket, body.baseAddress, body.count, Int32(truncatingIfNeeded: MSG_DONTWAIT), $0,
            socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    }
  }

  /// Blocks until something has come or the time is over.
  func wait(milliseconds: Int32) {
    var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    poll(&entry, 1, milliseconds)
  }

  /// The next heartbeat of this world that has come; nil when there is none.
  func next() -> Heartbeat? {
    withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 8) { buffer in
      while true {
        var place = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &place) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            recvfrom(socket, buffer.baseAddress, buffer.count, Int32(truncatingIfNeeded: MSG_DONTWAIT), $0, &length)
          }
        }
        // A refused datagram of ours is reported here, too, and says nothing that the kernel or silence would not.
        if count < 0, errno == EINTR || errno == ECONNREFUSED { continue }
        guard count >= 0 else { return nil }
        guard let beat = Heartbeat(bytes: UnsafeRawBufferPointer(rebasing: buffer[..<count]), token: token),
          contacts.indices.contains(beat.rank)
        else { continue }
        let address = Address(ip: place.sin_addr.s_addr, port: UInt16(bigEndian: place.sin_port))
        known.withLock { $0[beat.rank] = (address, FlightClock.monotonic()) }
        return beat
      }
    }
  }
}

/// A bound UDP socket, before the other ranks' addresses are known.
struct HeartbeatSocket {
  let descriptor: Int32
  let port: UInt16
  let addresses: [UInt32]

  /// - Parameter loopback: all ranks are on this host.
  /// - Returns: nil where the system refuses; the reason is in `errno`.
  init?(loopback: Bool) {
    let file = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard file >= 0 else { return nil }
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = 0
    place.sin_addr.s_addr = loopback ? Self.loopback : 0
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(file, $0, length) == 0 && getsockname(file, $0, &length) == 0
      }
    }
    guard isBound else {
      close(file)
      return nil
    }
    descriptor = file
    port = UInt16(bigEndian: place.sin_port)
    addresses = loopback ? [Self.loopback] : Self.ownAddresses()
  }

  /// 127.0.0.1 in network order.
  private static let loopback = UInt32(0x7f00_0001).bigEndian

  /// The IPv4 addresses of this host's networks that are up.
  private static func ownAddresses() -> [UInt32] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var found: [UInt32] = []
    var next = list
    while let entry = next?.pointee {
      next = entry.ifa_next
      guard let address = entry.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET) else { continue }
      let ip = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr.s_addr }
      let isLoopback = UInt32(bigEndian: ip) >> 24 == 127
      if !isLoopback, entry.ifa_flags & UInt32(truncatingIfNeeded: IFF_UP) != 0, !found.contains(ip), found.count < 8 {
        found.append(ip)
      }
    }
    return found
  }
}
