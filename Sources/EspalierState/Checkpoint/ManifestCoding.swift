extension Manifest {
  var json: StrictJSON {
    var members: [StrictJSON.Member] = [
      .init("format", .string(CheckpointFormat.name)),
      .init("version", .array([.integer(version.major), .integer(version.minor)])),
      .init("saveID", .string(saveID.description)),
      .init("step", .integer(step)),
      .init("created", .string(created)),
      .init("world", world.json),
      .init("tensors", .array(tensors.map(\.json))),
      .init("shards", .array(shards.map(\.json))),
      .init("totals", .object([.init("raw", .integer(rawBytes)), .init("stored", .integer(storedBytes))])),
      .init("state", state),
    ]
    if let segments { members.append(.init("segments", segments.json)) }
    if let parity { members.append(.init("parity", parity.json)) }
    return .object(members)
  }

  /// Reads MANIFEST.json and checks all that can be checked without the shards.
  init(parsing bytes: [UInt8], file: String) throws {
    let document: StrictJSON
    do { document = try StrictJSON(parsing: bytes) } catch let error as StrictJSONError {
      throw CheckpointError.damaged(.invalidJSON, file: file, "\(error)")
    }
    let fields = ManifestFields(value: document, path: "", file: file)
    version = try fields.version()
    saveID = try fields.saveID()
    step = try fields.count("step")
    created = try fields.string("created")
    world = try CheckpointWorld(fields.object("world"))
    parity = try fields.has("parity") ? ParityRecord(fields.object("parity")) : nil
    let totals = try fields.object("totals")
    rawBytes = try totals.count("raw")
    storedBytes = try totals.count("stored")
    state = try fields.member("state")
    let shards = try fields.list("shards").map(Shard.init)
    guard shards.count <= CheckpointFormat.maximumShards else { throw fields.invalid("shards", "too many") }
    let ranks = shards.filter { $0.frozen == nil }.map(\.rank)
    guard Set(shards.map(\.file)).count == shards.count, Set(ranks).count == ranks.count else {
      throw CheckpointError.damaged(.duplicateName, file: file, "a shard is listed twice")
    }
    self.shards = shards
    tensors = try fields.list("tensors").map { try Tensor($0, shardCount: shards.count) }
    segments =
      try fields.has("segments") ? SegmentRecord(fields.object("segments"), tensorCount: tensors.count) : nil
    try check(file: file)
  }
}

extension CheckpointWorld {
  var json: StrictJSON {
    .object([
      .init("ranks", .integer(ranks)), .init("hosts", .integer(hosts)), .init("stage", .integer(stage)),
      .init("transport", .string(transport)),
    ])
  }

  init(_ fields: ManifestFields) throws {
    self.init(
      ranks: try fields.count("ranks"), hosts: try fields.count("hosts"), stage: try fields.count("stage"),
      transport: try fields.string("transport"))
  }
}

extension Manifest.Shard {
  fileprivate var json: StrictJSON {
    .object(
      [
        .init("file", .string(file)), .init("rank", .integer(rank)), .init("host", .string(host)),
        .init("bytes", .integer(bytes)), .init("chunks", .integer(chunks)),
        .init("index", .string(indexChecksum.description)),
      ]
        + (frozen.map {
          [
            .init("firstSaved", .string($0.firstSaved.description)), .init("raw", .integer($0.rawBytes)),
            .init("stored", .integer($0.storedBytes)),
          ]
        } ?? []))
  }

  fileprivate init(_ fields: ManifestFields) throws {
    file = try fields.string("file")
    guard Self.isAllowed(file) else {
      throw CheckpointError.damaged(
        .wrongName, file: fields.file,
        "'\(file)' is no name of a shard (shards/ or frozen/, then letters, digits and . _ -)")
    }
    rank = try fields.count("rank")
    host = try fields.string("host")
    bytes = try fields.count("bytes")
    chunks = try fields.count("chunks")
    guard let checksum = Checksum(try fields.string("index")) else {
      throw fields.invalid("index", "16 hexadecimal digits")
    }
    indexChecksum = checksum
    guard file.hasPrefix(CheckpointFormat.frozenFolder + "/") else {
      frozen = nil
      return
    }
    guard let firstSaved = SaveID(try fields.string("firstSaved")),
      file.hasPrefix("\(CheckpointFormat.frozenFolder)/\(firstSaved)-")
    else {
      throw fields.invalid("firstSaved", "the 32 hexadecimal digits that the file's name begins with")
    }
    frozen = Manifest.Frozen(
      firstSaved: firstSaved, rawBytes: try fields.count("raw"), storedBytes: try fields.count("stored"))
  }

  /// `^folder/[A-Za-z0-9._-]{1,128}$` with one of the folders, and not a name that means a folder.
  static func isAllowed(
    _ file: String, in folders: [String] = [CheckpointFormat.shardFolder, CheckpointFormat.frozenFolder]
  ) -> Bool {
    guard let prefix = folders.map({ ($0 + "/").utf8 }).first(where: { file.utf8.starts(with: $0) }) else {
      return false
    }
    let name = file.utf8.dropFirst(prefix.count)
    guard (1...128).contains(name.count), !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) else {
      return false
    }
    return name.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
  }

  /// Without the folder.
  var name: String { file.firstIndex(of: "/").map { String(file[file.index(after: $0)...]) } ?? file }

  /// The folder inside the checkpoint.
  var folder: String { String(file.prefix { $0 != "/" }) }
}

extension TensorRecord {
  /// With its slots, as the manifest or a plan has them.
  func json(slots: StrictJSON) -> StrictJSON {
    .object([
      .init("name", .string(name)), .init("dtype", .string("f32")),
      .init("shape", .array(shape.map { .integer($0) })), .init("trainable", .bool(trainable)), .init("slots", slots),
    ])
  }

  init(_ fields: ManifestFields) throws {
    guard try fields.string("dtype") == "f32" else { throw fields.invalid("dtype", "f32") }
    guard let trainable = try fields.member("trainable").truth else {
      throw fields.invalid("trainable", "true or false")
    }
    self.init(name: try fields.string("name"), shape: try fields.counts("shape"), trainable: trainable)
  }
}

extension Manifest.Tensor {
  fileprivate var json: StrictJSON { record.json(slots: .array(slots.map(\.json))) }

  fileprivate init(_ fields: ManifestFields, shardCount: Int) throws {
    record = try TensorRecord(fields)
    slots = try fields.list("slots").map { try Manifest.Slot($0, shardCount: shardCount) }
  }
}

extension Manifest.Slot {
  fileprivate var json: StrictJSON {
    let type: [StrictJSON.Member] = element == .f32 ? [] : [.init("dtype", .string(element.rawValue))]
    return .object(
      type + [
        .init("name", .string(name)), .init("digest", .string(digest.description)),
        .init(
          "pieces",
          .array(
            pieces.map { piece in
              .array([
                .integer(piece.shard), .integer(piece.piece), .integer(piece.range.lowerBound),
                .integer(piece.range.upperBound),
              ])
            })),
      ])
  }

  fileprivate init(_ fields: ManifestFields, shardCount: Int) throws {
    name = try fields.string("name")
    guard let digest = Digest(try fields.string("digest")) else {
      throw fields.invalid("digest", "32 hexadecimal digits")
    }
    self.digest = digest
    // Stored as the tensor is computed with, unless it says otherwise.
    let type = fields.value["dtype"] == nil ? ElementType.f32.rawValue : try fields.string("dtype")
    guard let element = ElementType(rawValue: type) else { throw fields.invalid("dtype", "f32 or bf16") }
    self.element = element
    guard let list = try fields.member("pieces").elements else { throw fields.invalid("pieces", "a list") }
    pieces = try list.map { item in
      let numbers = item.elements?.compactMap(\.integer) ?? []
      guard numbers.count == 4, item.elements?.count == 4, numbers[0] >= 0, numbers[0] < shardCount, numbers[1] >= 0,
        numbers[2] >= 0, numbers[2] < numbers[3]
      else { throw fields.invalid("pieces", "lists of shard, piece, first element, end") }
      return Manifest.Piece(shard: numbers[0], piece: numbers[1], range: numbers[2]..<numbers[3])
    }
  }
}

/// The members of an object of the manifest, with the place of each for errors. Members that are not asked for are let be:
/// a later minor version may add some.
struct ManifestFields {
  let value: StrictJSON
  let path: String
  let file: String

  func invalid(_ key: String, _ expected: String) -> CheckpointError {
    .damaged(.invalidField, file: file, "'\(path)\(key)' should be \(expected)")
  }

  func member(_ key: String) throws -> StrictJSON {
    guard let member = value[key] else {
      throw CheckpointError.damaged(.invalidField, file: file, "'\(path)\(key)' is missing")
    }
    return member
  }

  func has(_ key: String) -> Bool { value[key] != nil }

  func string(_ key: String) throws -> String {
    guard let text = try member(key).text else { throw invalid(key, "a string") }
    return text
  }

  /// An integer that is not negative.
  func count(_ key: String) throws -> Int {
    guard let count = try member(key).integer, count >= 0 else { throw invalid(key, "an integer that is not negative") }
    return count
  }

  func counts(_ key: String) throws -> [Int] {
    guard let elements = try member(key).elements else { throw invalid(key, "a list of integers") }
    return try elements.map { element in
      guard let count = element.integer, count >= 0 else {
        throw invalid(key, "a list of integers that are not negative")
      }
      return count
    }
  }

  func object(_ key: String) throws -> ManifestFields {
    let member = try member(key)
    guard member.members != nil else { throw invalid(key, "an object") }
    return ManifestFields(value: member, path: "\(path)\(key).", file: file)
  }

  func list(_ key: String) throws -> [ManifestFields] {
    guard let elements = try member(key).elements else { throw invalid(key, "a list") }
    return elements.enumerated().map { ManifestFields(value: $1, path: "\(path)\(key)[\($0)].", file: file) }
  }

  /// Format and version of the document; any minor version of our major one will do.
  func version() throws -> (major: Int, minor: Int) {
    guard try string("format") == CheckpointFormat.name else {
      throw CheckpointError(
        .notACheckpoint, file: file, reason: "it is not of the format \(CheckpointFormat.name)",
        remedy: "name a folder that Espalier has written")
    }
    let numbers = try counts("version")
    guard numbers.count == 2 else { throw invalid("version", "two integers") }
    guard numbers[0] == CheckpointFormat.major else {
      throw CheckpointError.newer(file: file, major: numbers[0], minor: numbers[1])
    }
    return (numbers[0], numbers[1])
  }

  func saveID() throws -> SaveID {
    guard let id = SaveID(try string("saveID")) else { throw invalid("saveID", "32 hexadecimal digits") }
    return id
  }
}
