/// The content of COMMIT, the file whose presence makes a checkpoint: length and checksum of the manifest.
struct CommitRecord: Equatable {
  let version: [Int]
  let saveID: SaveID
  let step: Int
  let manifestBytes: Int
  let manifestChecksum: Checksum

  init(manifest: Manifest, bytes: [UInt8]) {
    version = [manifest.version.major, manifest.version.minor]
    saveID = manifest.saveID
    step = manifest.step
    manifestBytes = bytes.count
    manifestChecksum = Checksum(of: bytes)
  }

  var encoded: [UInt8] {
    let json = StrictJSON.object([
      .init("format", .string(CheckpointFormat.name)),
      .init("version", .array(version.map { .integer($0) })),
      .init("saveID", .string(saveID.description)),
      .init("step", .integer(step)),
      .init(
        "manifest", .object([.init("bytes", .integer(manifestBytes)), .init("xxh3", .string("\(manifestChecksum)"))])),
    ])
    return json.canonical
  }

  init(parsing bytes: [UInt8], file: String) throws {
    let document: StrictJSON
    do { document = try StrictJSON(parsing: bytes) } catch let error as StrictJSONError {
      throw CheckpointError.damaged(.invalidJSON, file: file, "\(error)")
    }
    let fields = ManifestFields(value: document, path: "", file: file)
    let (major, minor) = try fields.version()
    version = [major, minor]
    saveID = try fields.saveID()
    step = try fields.count("step")
    let manifest = try fields.object("manifest")
    manifestBytes = try manifest.count("bytes")
    guard let checksum = Checksum(try manifest.string("xxh3")) else {
      throw manifest.invalid("xxh3", "16 hexadecimal digits")
    }
    manifestChecksum = checksum
    // COMMIT has no checksum of its own: only the one way of writing it will do, so that no byte of it can change.
    guard document.canonical == bytes, minor > CheckpointFormat.minor || encoded == bytes else {
      throw CheckpointError.damaged(.invalidField, file: file, "it is not written as Espalier writes it")
    }
  }
}
