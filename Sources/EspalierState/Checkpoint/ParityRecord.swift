/// What a manifest says of the parity of its shards: the file, its length and its checksum.
package struct ParityRecord: Sendable, Equatable, Codable {
  package let file: String
  /// Of the longest shard.
  package let bytes: Int
  package let checksum: Checksum
}

extension ParityRecord {
  var json: StrictJSON {
    .object([
      .init("file", .string(file)), .init("bytes", .integer(bytes)), .init("xxh3", .string(checksum.description)),
    ])
  }

  init(_ fields: ManifestFields) throws {
    file = try fields.string("file")
    guard Manifest.Shard.isAllowed(file, in: [CheckpointFormat.parityFolder]) else {
      throw CheckpointError.damaged(
        .wrongName, file: fields.file, "'\(file)' is no name of a parity file (parity/, then letters, digits and . _ -)"
      )
    }
    bytes = try fields.count("bytes")
    guard let checksum = Checksum(try fields.string("xxh3")) else {
      throw fields.invalid("xxh3", "16 hexadecimal digits")
    }
    self.checksum = checksum
  }

  /// Without the folder.
  var name: String { String(file.dropFirst(CheckpointFormat.parityFolder.count + 1)) }
}
