internal import CXXHash

/// XXH3-64 of bytes that come in parts. One thread at a time.
final class ChecksumStream {
  private let state: OpaquePointer

  init() {
    guard let state = XXH3_createState() else { preconditionFailure("no memory for a checksum") }
    self.state = state
    XXH3_64bits_reset(state)
  }

  deinit { XXH3_freeState(state) }

  func add(_ bytes: UnsafeRawBufferPointer) { XXH3_64bits_update(state, bytes.baseAddress, bytes.count) }

  var checksum: Checksum { Checksum(value: XXH3_64bits_digest(state)) }
}
