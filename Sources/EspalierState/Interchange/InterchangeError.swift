/// Why a file of other software could not be read or written.
///
/// `description` is one sentence that names the file, the tensor where there is one, and what to do next.
package struct InterchangeError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Kind: String, Sendable, CaseIterable {
    // The frame of a safetensors file.
    case tooShort, headerTooLarge, headerBeyondFile, invalidJSON, invalidStart, invalidPadding, invalidMetadata
    // One tensor of it.
    case invalidField, unsupportedType, shapeTooLarge, wrongSize, beyondFile, overlap, hole, trailingBytes
    // .npy
    case badMagic, newerVersion, invalidHeader, fortranOrder
    // What was asked for.
    case notFloating, doesNotFit, digestMismatch, tableDoesNotApply, alreadyExists, duplicateName
  }

  package let kind: Kind
  /// The path of the file, or what else it was read from.
  package let file: String
  package let tensor: String?
  package let reason: String
  package let remedy: String

  package init(_ kind: Kind, file: String, tensor: String? = nil, reason: String, remedy: String) {
    self.kind = kind
    self.file = file
    self.tensor = tensor
    self.reason = reason
    self.remedy = remedy
  }

  /// A file that is not what its format asks for.
  static func malformed(_ kind: Kind, file: String, tensor: String? = nil, _ reason: String) -> InterchangeError {
    InterchangeError(
      kind, file: file, tensor: tensor, reason: reason,
      remedy: "fetch the file again, or write it anew where it was made")
  }

  package var description: String {
    let subject = tensor.map { " (tensor '\(Self.shown($0))')" } ?? ""
    return "\(file)\(subject): \(reason); \(remedy)"
  }

  /// A name from a file, at a length that a line of text can hold.
  static func shown(_ name: String) -> String { name.utf8.count <= 160 ? name : String(name.prefix(150)) + "…" }
}
