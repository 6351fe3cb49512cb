/// What a safetensors file says of its tensors, checked against the length of the file before anything is believed.
///
/// The format: a little-endian u64 with the length of the header; the header, a JSON object that may end in spaces; then
/// the elements of all tensors, row-major, which tile the rest of the file without hole or overlap.
/// - https://github.com/huggingface/safetensors (README, "Format").
package struct SafetensorsHeader: Sendable, Equatable {
  package struct Tensor: Sendable, Equatable {
    package let name: String
    package let element: InterchangeElement
    package let shape: [Int]
    /// The product of the shape; checked.
    package let count: Int
    /// In bytes from the start of the file.
    package let bytes: Range<Int>
  }

  /// In the order of their bytes.
  package let tensors: [Tensor]
  /// `__metadata__`
  package let metadata: [String: String]

  /// As the format has it.
  static let maximumBytes = 100_000_000
  /// Commas in a header: a tensor has a handful. It bounds what a header can make the scanner hold.
  static let maximumValues = 1_000_000
  static let metadataKey = "__metadata__"

  /// - Parameters:
  ///   - document: the header alone.
  ///   - start: where the elements begin in the file.
  ///   - end: the length of the file.
  init(parsing document: [UInt8], file: String, start: Int, end: Int) throws {
    func refuse(_ kind: InterchangeError.Kind, _ tensor: String?, _ reason: String) -> InterchangeError {
      .malformed(kind, file: file, tensor: tensor, reason)
    }
    guard document.first == UInt8(ascii: "{") else {
      throw refuse(.invalidStart, nil, "the header does not begin with {")
    }
    let text = document.lastIndex { $0 == UInt8(ascii: "}") }.map { document[...$0] } ?? document[...]
    guard document[text.endIndex...].allSatisfy({ $0 == UInt8(ascii: " ") }) else {
      throw refuse(.invalidPadding, nil, "the header is followed by something other than spaces")
    }
    var values = 0
    for byte in text where byte == UInt8(ascii: ",") { values += 1 }
    guard values <= Self.maximumValues else {
      throw refuse(.headerTooLarge, nil, "the header holds more than \(Self.maximumValues) values")
    }
    let json: StrictJSON
    do { json = try StrictJSON(parsing: Array(text)) } catch let error as StrictJSONError {
      throw refuse(.invalidJSON, nil, "the header is not strict JSON: \(error)")
    }

    var metadata: [String: String] = [:]
    var tensors: [Tensor] = []
    for member in json.members ?? [] {
      if member.key == Self.metadataKey {
        guard let entries = member.value.members else {
          throw refuse(.invalidMetadata, nil, "\(Self.metadataKey) is no object")
        }
        for entry in entries {
          guard let text = entry.value.text else {
            throw refuse(
              .invalidMetadata, nil, "'\(InterchangeError.shown(entry.key))' in \(Self.metadataKey) is no string")
          }
          metadata[entry.key] = text
        }
        continue
      }
      tensors.append(try Tensor(member.key, member.value, start: start, end: end, refuse: { refuse($0, $1, $2) }))
    }
    tensors.sort { ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound) }
    var position = start
    for tensor in tensors {
      guard tensor.bytes.lowerBound <= position else {
        throw refuse(.hole, tensor.name, "\(tensor.bytes.lowerBound - position) bytes before it belong to no tensor")
      }
      guard tensor.bytes.lowerBound == position else {
        throw refuse(.overlap, tensor.name, "its bytes begin before those of the tensor before it end")
      }
      position = tensor.bytes.upperBound
    }
    guard position == end else {
      throw refuse(.trailingBytes, nil, "the last \(end - position) bytes of the file belong to no tensor")
    }
    self.tensors = tensors
    self.metadata = metadata
  }
}

extension SafetensorsHeader.Tensor {
  fileprivate init(
    _ name: String, _ value: StrictJSON, start: Int, end: Int,
    refuse: (InterchangeError.Kind, String?, String) -> InterchangeError
  ) throws {
    guard let members = value.members else { throw refuse(.invalidField, name, "its entry is no object") }
    if let other = members.first(where: { !["dtype", "shape", "data_offsets"].contains($0.key) }) {
      throw refuse(.invalidField, name, "its entry has the unknown key '\(InterchangeError.shown(other.key))'")
    }
    func integers(_ key: String) throws -> [Int] {
      guard let elements = value[key]?.elements else { throw refuse(.invalidField, name, "it has no list '\(key)'") }
      return try elements.map { element in
        guard let integer = element.integer, integer >= 0 else {
          throw refuse(.invalidField, name, "'\(key)' is no list of integers that are not negative")
        }
        return integer
      }
    }
    guard let type = value["dtype"]?.text else { throw refuse(.invalidField, name, "it has no text 'dtype'") }
    guard let element = InterchangeElement(rawValue: type) else {
      throw InterchangeError(
        .unsupportedType, file: refuse(.unsupportedType, name, "").file, tensor: name,
        reason: "its type '\(InterchangeError.shown(type))' is none that is read here",
        remedy: "convert it to one of \(InterchangeElement.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    let shape = try integers("shape")
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow else {
        throw refuse(.shapeTooLarge, name, "its shape stands for more elements than can be counted")
      }
      count = product
    }
    let (size, overflow) = count.multipliedReportingOverflow(by: element.byteCount)
    guard !overflow else { throw refuse(.shapeTooLarge, name, "its shape stands for more bytes than can be counted") }
    let offsets = try integers("data_offsets")
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw refuse(.invalidField, name, "'data_offsets' is no first byte and end")
    }
    guard offsets[1] <= end - start else {
      throw refuse(.beyondFile, name, "it ends at byte \(offsets[1]) of the \(end - start) that hold elements")
    }
    guard offsets[1] - offsets[0] == size else {
      throw refuse(.wrongSize, name, "it has \(offsets[1] - offsets[0]) bytes and its shape asks for \(size)")
    }
    self.init(
      name: name, element: element, shape: shape, count: count, bytes: start + offsets[0]..<start + offsets[1])
  }
}
