/// Whole tensors at addresses that hold still: what growth reads from.
package final class HeldTensors {
  package let pointers: [String: UnsafePointer<Float>]
  private let buffers: [UnsafeMutableBufferPointer<Float>]

  package init(_ tensors: [String: [Float]]) {
    let named = tensors.map { name, values in
      let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(values.count, 1))
      buffer.initialize(repeating: 0)
      for (index, value) in values.enumerated() { buffer[index] = value }
      return (name, buffer)
    }
    buffers = named.map(\.1)
    pointers = Dictionary(
      uniqueKeysWithValues: named.compactMap { name, buffer in buffer.baseAddress.map { (name, UnsafePointer($0)) } })
  }

  deinit { for buffer in buffers { buffer.deallocate() } }
}
