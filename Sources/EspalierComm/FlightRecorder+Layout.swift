internal import Foundation

/// Where things lie in a flight file; little-endian, times in nanoseconds of CLOCK_MONOTONIC.
///
/// A file is a prologue of 64 bytes, a status block of 512 (which a heartbeat carries as it is), last words, and from byte 4096 the ring of
/// entries, collective n at place n mod 256. Numbers are written after the text that they make valid, so that a reader of a file that is being
/// written, or whose writer was killed between two stores, can tell what is whole.
enum FlightLayout {
  /// "ESPFLGHT" in memory.
  static let magic: UInt64 = 0x5448_474c_4650_5345
  static let version: UInt32 = 1
  static let headerBytes = 4096
  static let statusOffset = 64
  static let statusBytes = 512
  static let wordsOffset = statusOffset + statusBytes
  static let wordsBytes = 2048
  static let entryBytes = 160
  static let entryCount = 256
  static let fileBytes = headerBytes + entryBytes * entryCount
  /// For a sequence: there is none.
  static let none = UInt64.max
  static let nameBytes = 64

  /// Offsets inside the status block.
  enum Status {
    static let generation = 0
    static let rank = 8
    static let size = 12
    static let pid = 16
    static let startTicks = 24
    /// Nanoseconds since 1970 when the monotonic clock stood at `monotonicStart`.
    static let wallStart = 32
    static let monotonicStart = 40
    /// The last beat of the rank's watchdog thread.
    static let beatAt = 48
    static let ticks = 56
    static let movedAt = 64
    static let notes = 72
    static let notedAt = 80
    static let phase = 88
    static let end = 92
    static let phaseSince = 96
    static let step = 104
    static let requested = 112
    static let began = 120
    static let ended = 128
    static let current = 136
    static let currentBegan = 144
    static let waited = 152
    static let waitSince = 160
    static let fileOperations = 168
    static let currentBytes = 176
    static let endedAt = 184
    static let host = 192
    static let place = 256
    static let currentLabel = 320
    static let currentKind = 384
    static let lastLabel = 400
    static let lastKind = 464
    static let last = 480
  }

  /// Offsets inside an entry.
  enum Entry {
    static let sequence = 0
    static let state = 8
    static let bytes = 16
    static let requestedAt = 24
    static let beganAt = 32
    static let endedAt = 40
    static let waitBeganAt = 48
    static let waitEndedAt = 56
    static let kind = 64
    static let kindBytes = 16
    static let label = 80
    static let labelBytes = 80
  }
}

/// The clocks of a flight file.
enum FlightClock {
  /// Nanoseconds; stands still while the machine sleeps, the same for all processes of a host.
  static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

  /// Nanoseconds since 1970.
  static func wall() -> UInt64 { read(CLOCK_REALTIME) }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// Seconds from `start` to `end`; 0 where the order is wrong.
  static func seconds(from start: UInt64, to end: UInt64) -> Double { end > start ? Double(end - start) / 1e9 : 0 }
}

extension UnsafeMutableRawPointer {
  func put(_ value: UInt64, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self)
  }
  func put(_ value: UInt32, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
  }

  /// Text cut to fewer than `bytes` bytes and closed by zeros.
  func put(_ text: String, at offset: Int, bytes: Int) {
    var text = text
    text.withUTF8 { utf8 in
      let count = min(utf8.count, bytes - 1)
      if let start = utf8.baseAddress { (self + offset).copyMemory(from: start, byteCount: count) }
      memset(self + offset + count, 0, bytes - count)
    }
  }
}

extension UnsafeRawPointer {
  func number(at offset: Int) -> UInt64 { UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
  func small(at offset: Int) -> UInt32 { UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }

  func text(at offset: Int, bytes: Int) -> String {
    String(decoding: UnsafeRawBufferPointer(start: self + offset, count: bytes).prefix { $0 != 0 }, as: UTF8.self)
  }
}
