/// What a shard says of itself behind the tables of its index: on which host it was written and, in the shard of rank 0, all
/// that the manifest knows and no shard could tell. With it a lost manifest is recovered byte for byte.
struct ShardDescription {
  let host: String
  let plan: CheckpointPlan?

  var json: StrictJSON {
    var members: [StrictJSON.Member] = [.init("host", .string(host))]
    if let plan { members.append(.init("plan", plan.json)) }
    return .object(members)
  }

  init(host: String, plan: CheckpointPlan?) {
    self.host = host
    self.plan = plan
  }

  init(parsing bytes: [UInt8], saveID: SaveID, file: String) throws {
    let document: StrictJSON
    do { document = try StrictJSON(parsing: bytes) } catch let error as StrictJSONError {
      throw CheckpointError.damaged(.invalidJSON, file: file, "in its index, \(error)")
    }
    let fields = ManifestFields(value: document, path: "", file: file)
    host = try fields.string("host")
    plan = try fields.has("plan") ? CheckpointPlan(fields.object("plan"), saveID: saveID) : nil
  }
}

extension CheckpointPlan {
  /// Without the save id, which every shard has in its header. A state that is no JSON is told of at the commit.
  var json: StrictJSON {
    var members: [StrictJSON.Member] = [
      .init("created", .string(created)), .init("step", .integer(step)), .init("world", world.json),
      .init("state", (try? StrictJSON(parsing: state)) ?? .null),
      .init(
        "tensors",
        .array(zip(tensors, slots).map { $0.json(slots: .array($1.map { .string($0) })) })),
    ]
    if let segments { members.append(.init("segments", segments.json)) }
    return .object(members)
  }

  init(_ fields: ManifestFields, saveID: SaveID) throws {
    let tensors = try fields.list("tensors")
    self.init(
      saveID: saveID, step: try fields.count("step"), tensors: try tensors.map { try TensorRecord($0) },
      slots: try tensors.map { tensor in
        guard let names = try tensor.member("slots").elements?.map(\.text), !names.contains(nil) else {
          throw tensor.invalid("slots", "a list of names")
        }
        return names.compactMap { $0 }
      },
      state: try fields.member("state").canonical, world: try CheckpointWorld(fields.object("world")),
      segments: try fields.has("segments")
        ? SegmentRecord(fields.object("segments"), tensorCount: tensors.count) : nil,
      created: try fields.string("created"))
  }
}
