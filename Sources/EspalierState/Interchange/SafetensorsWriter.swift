/// Writes a safetensors file front to back; memory is bounded by what its caller hands over at once.
///
/// The header is canonical JSON (sorted keys), padded with spaces so that the elements begin at a multiple of 8; tensors lie in
/// the order given. The same content is always the same bytes.
package final class SafetensorsWriter {
  package struct Tensor: Sendable, Equatable {
    package let name: String
    package let element: InterchangeElement
    package let shape: [Int]

    package init(name: String, element: InterchangeElement, shape: [Int]) {
      self.name = name
      self.element = element
      self.shape = shape
    }

    package var byteCount: Int { shape.reduce(1, *) * element.byteCount }
  }

  private let output: NewFile
  private let byteCount: Int
  private var written = 0

  /// Makes the file and writes the header.
  /// - Throws: `InterchangeError` for a name that is given twice or is reserved, a header beyond the format's limit, or a file that
  ///   exists; `CheckpointError` of the kinds of the file system.
  package init(
    _ path: String, tensors: [Tensor], metadata: [String: String], fileSystem: FileSystem = .real
  ) throws {
    var names: Set<String> = [SafetensorsHeader.metadataKey]
    var offset = 0
    var members: [StrictJSON.Member] = []
    if !metadata.isEmpty {
      members.append(
        .init(SafetensorsHeader.metadataKey, .object(metadata.map { StrictJSON.Member($0.key, .string($0.value)) })))
    }
    for tensor in tensors {
      guard names.insert(tensor.name).inserted else {
        throw InterchangeError(
          .duplicateName, file: path, tensor: tensor.name,
          reason: "two tensors would have this name, or it is reserved",
          remedy: "use the names of Espalier: --names espalier")
      }
      let end = offset + tensor.byteCount
      members.append(
        .init(
          tensor.name,
          .object([
            .init("dtype", .string(tensor.element.rawValue)),
            .init("shape", .array(tensor.shape.map { .integer($0) })),
            .init("data_offsets", .array([.integer(offset), .integer(end)])),
          ])))
      offset = end
    }
    byteCount = offset
    var header = StrictJSON.object(members).canonical
    header += Array(repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
    guard header.count <= SafetensorsHeader.maximumBytes else {
      throw InterchangeError(
        .headerTooLarge, file: path,
        reason:
          "its header of \(header.count) bytes would be more than the \(SafetensorsHeader.maximumBytes) of the format",
        remedy: "export fewer slots")
    }
    output = try NewFile(path, fileSystem: fileSystem)
    try output.append((0..<8).map { UInt8(truncatingIfNeeded: UInt64(header.count) >> (8 * UInt64($0))) } + header)
  }

  /// Appends elements in the order of the tensors.
  package func append(_ bytes: UnsafeRawBufferPointer) throws {
    try output.append(bytes)
    written += bytes.count
  }

  /// Brings the file to stable storage under its name.
  /// - Precondition: all elements of all tensors have been appended.
  package func finish() throws {
    precondition(written == byteCount, "\(written) bytes of \(byteCount) were appended")
    try output.publish()
  }
}
