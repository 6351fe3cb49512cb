import EspalierState
import Glibc

/// Turns what libFuzzer makes up into a shard file and reads it.
///
/// Nobody guesses a checksum, so that nearly nothing would get past the first. The first byte of an input says which of them
/// are made right: bit 0 those of header, index and footer, bit 1 those of every chunk that the index lists.
final class ShardInput {
  nonisolated(unsafe) static let shared = ShardInput()

  private let folder: String
  private let file: Int32

  private init() {
    folder = "/dev/shm/espalier-fuzzing-\(getpid())"
    mkdir(folder, 0o700)
    file = open(folder + "/shard.esp", O_RDWR | O_CREAT | O_TRUNC, 0o600)
    guard file >= 0 else { fatalError("'\(folder)' cannot be written") }
    atexit { ShardInput.shared.remove() }
  }

  private func remove() {
    unlink(folder + "/shard.esp")
    rmdir(folder)
  }

  func run(_ input: UnsafeBufferPointer<UInt8>) {
    guard let mode = input.first else { return }
    var bytes = Array(input.dropFirst())
    if mode & 2 != 0 { Self.sealChunks(&bytes) }
    if mode & 1 != 0 { Self.sealFrame(&bytes) }
    guard ftruncate(file, 0) == 0, pwrite(file, bytes, bytes.count, 0) == bytes.count else { fatalError("disk full") }
    _ = CheckpointProbe.shard("shard.esp", in: folder)
  }

  private static func number(_ bytes: [UInt8], _ at: Int, _ width: Int) -> Int {
    let value = bytes[at..<at + width].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return Int(truncatingIfNeeded: value)
  }

  private static func put(_ checksum: Checksum, _ at: Int, _ bytes: inout [UInt8]) {
    for i in 0..<8 { bytes[at + i] = UInt8(truncatingIfNeeded: checksum.value >> (8 * i)) }
  }

  private static func sum(_ bytes: [UInt8], _ range: Range<Int>) -> Checksum { Checksum(of: Array(bytes[range])) }

  /// Where the index lies, if the footer says something possible.
  private static func index(_ bytes: [UInt8]) -> Range<Int>? {
    let footer = bytes.count - 56
    guard footer >= 64 else { return nil }
    let offset = number(bytes, footer, 8)
    guard offset >= 64, offset <= footer else { return nil }
    return offset..<footer
  }

  private static func sealFrame(_ bytes: inout [UInt8]) {
    let footer = bytes.count - 56
    guard footer >= 64 else { return }
    put(sum(bytes, 0..<56), 56, &bytes)
    if let index = index(bytes) { put(sum(bytes, index), footer + 16, &bytes) }
    put(sum(bytes, footer..<footer + 40), footer + 40, &bytes)
  }

  private static func sealChunks(_ bytes: inout [UInt8]) {
    guard let index = index(bytes), index.count >= 24 else { return }
    let table = index.lowerBound + 24 + number(bytes, index.lowerBound + 8, 4) * 48
    let chunks = number(bytes, index.lowerBound + 16, 8)
    guard table <= index.upperBound, chunks >= 0, chunks <= (index.upperBound - table) / 24 else { return }
    for chunk in 0..<chunks {
      let entry = table + chunk * 24
      let offset = number(bytes, entry, 8), stored = number(bytes, entry + 8, 4)
      guard offset >= 64, offset <= index.lowerBound - 64, stored <= index.lowerBound - 64 - offset else { continue }
      put(sum(bytes, offset + 64..<offset + 64 + stored), offset + 40, &bytes)
      for i in 0..<8 { bytes[offset + 32 + i] = bytes[entry + 16 + i] }
      put(sum(bytes, offset..<offset + 56), offset + 56, &bytes)
    }
  }
}
