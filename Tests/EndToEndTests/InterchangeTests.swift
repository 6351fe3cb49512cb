import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// Weights leave for other software and come back bit for bit.
@Suite struct InterchangeTests {
  struct Case: Sendable, CustomStringConvertible {
    let description: String
    let model: String
    let data: String
    let tables: [String]
    init(_ name: String, _ model: String, data: String = tokens, tables: [String]) {
      (description, self.model, self.data, self.tables) = (name, model, data, tables)
    }
    var recipe: String {
      """
      model:     \(model)
      data:      { synthetic: \(data) }
      batch:     { samples: 4, lanes: 2 }
      schedule:  [{ train: { steps: 2 } }]
      evaluate:  { every: 0, batch: 8, batches: 1 }
      """
    }
  }

  static let images = "{ kind: classes, samples: 32, classes: 5, features: 20, validation: 8 }"
  static let tokens = "{ kind: shift, samples: 32, vocabulary: 11, validation: 8 }"
  static let shape = "width: 16, depth: 2, heads: 4, context: 8, hidden: 24"
  static let cases = [
    Case("decoder", "{ decoder: { \(shape) } }", tables: ["llama"]),
    Case("decoder with grouped queries", "{ decoder: { \(shape), keyValueHeads: 2 } }", tables: ["llama"]),
    Case("decoder, tied", "{ decoder: { \(shape), tied: true, keyValueHeads: 1 } }", tables: ["llama"]),
    Case("decoder with biases", "{ decoder: { \(shape), bias: true } }", tables: ["llama"]),
    Case(
      "decoder of the GPT-2 kind",
      "{ decoder: { \(shape), normalization: layer, positions: learned, activation: gelu, tied: true, bias: true } }",
      tables: []),
    Case("decoder without positions", "{ decoder: { \(shape), positions: none } }", tables: []),
    Case(
      "mlp", "{ mlp: { width: 12, depth: 2 } }",
      data: "{ kind: classes, samples: 32, classes: 5, features: 7, validation: 8 }", tables: []),
    Case(
      "residual network", "{ residualNetwork: { width: 4, depth: 1, image: { channels: 1, height: 4, width: 5 } } }",
      data: images, tables: []),
    Case(
      "convolutional network",
      "{ convolutionalNetwork: { channels: [3, 4], hidden: [6], image: { channels: 1, height: 4, width: 5 } } }",
      data: images, tables: []),
    Case(
      "vision transformer",
      "{ visionTransformer: { width: 8, depth: 2, heads: 2, patch: 1, image: { channels: 1, height: 4, width: 5 } } }",
      data: images, tables: []),
  ]

  /// Trains two steps and hands over the checkpoint, its run and a folder.
  private func withCheckpoint(_ example: Case, _ body: (CheckpointReader, ResolvedRun, String) throws -> Void) throws {
    try Runs.inTemporaryDirectory { folder in
      _ = try Runs.train(example.recipe, ranks: 2, in: folder + "/run")
      let reader = try #require(try CheckpointDirectory(run: folder + "/run").newestValid().reader)
      let settings = try RunSettings(
        recipe: SettingsFile(text: example.recipe, name: "recipe"), choices: Catalogue.standard.choices)
      try body(reader, ResolvedRun(settings), folder)
    }
  }

  private func value(of reader: CheckpointReader) -> Digest {
    reader.manifest.tensors.flatMap(\.slots).filter { $0.name == "value" }.reduce(.zero) { $0 + $1.digest }
  }

  @Test("every model of the catalogue is among the cases")
  func complete() {
    for type in Catalogue.standard.models { #expect(Self.cases.contains { $0.model.contains("{ \(type.name):") }) }
  }

  @Test("export and import are the identity, under every table that applies", arguments: cases)
  func identity(_ example: Case) throws {
    try withCheckpoint(
      example,
      { reader, run, folder in
        for name in [NameTable.identityName] + example.tables {
          let table = try Catalogue.standard.nameTable(name, run.settings.model)
          let file = "\(folder)/\(name).safetensors"
          _ = try CheckpointExport(
            reader, slots: ["value"], element: .float32, table: table, model: run.settings.model.name
          )
          .writeSafetensors(to: file)
          let state = try TrainingState(imported: file, for: run).encoded()
          // Shards of 1000 bytes, so that joined tensors are cut across shards.
          let report = try CheckpointImport(SafetensorsReader(file), blueprint: run.blueprint, table: table)
            .write(to: "\(folder)/\(name)", state: state, shardBytes: 1000)
          let imported = try CheckpointReader("\(folder)/\(name)")
          #expect(imported.verify(full: true).isEmpty && imported.manifest.shards.count > 1)
          #expect(report.digest == value(of: reader) && imported.digest == value(of: reader), "\(name)")
          #expect(imported.tensors.map(\.name) == run.blueprint.parameters.map(\.name))
          for tensor in imported.tensors { #expect(try imported.slots(of: tensor.name) == ["value"]) }
        }
        if example.tables.isEmpty {
          let error = #expect(throws: InterchangeError.self) {
            try Catalogue.standard.nameTable("llama", run.settings.model)
          }
          #expect(error?.kind == .tableDoesNotApply)
          #expect(error?.description.hasSuffix("use the names of Espalier: --names espalier") == true)
        }
        #expect(try Set(FileManager.default.contentsOfDirectory(atPath: folder)).isDisjoint(with: [".tmp"]))
        #expect(try !FileManager.default.contentsOfDirectory(atPath: folder).contains { $0.hasPrefix(".import") })
      })
  }

  @Test("the llama table names what LlamaForCausalLM has, and cuts the fused products where its parts meet")
  func llama() throws {
    try withCheckpoint(
      Self.cases[1],
      { reader, run, folder in
        let table = try Catalogue.standard.nameTable("llama", run.settings.model)
        let file = folder + "/llama.safetensors"
        _ = try CheckpointExport(
          reader, slots: ["value", "adamw.m"], element: .float32, table: table, model: "decoder"
        )
        .writeSafetensors(to: file)
        let out = try SafetensorsReader(file)
        func layer(_ i: Int) -> [String: [Int]] {
          let p = "model.layers.\(i)."
          return [
            p + "input_layernorm.weight": [16], p + "self_attn.q_proj.weight": [16, 16],
            p + "self_attn.k_proj.weight": [8, 16], p + "self_attn.v_proj.weight": [8, 16],
            p + "self_attn.o_proj.weight": [16, 16], p + "post_attention_layernorm.weight": [16],
            p + "mlp.gate_proj.weight": [24, 16], p + "mlp.up_proj.weight": [24, 16],
            p + "mlp.down_proj.weight": [16, 24],
          ]
        }
        var expected = layer(0).merging(layer(1)) { a, _ in a }
        expected["model.embed_tokens.weight"] = [11, 16]
        expected["model.norm.weight"] = [16]
        expected["lm_head.weight"] = [11, 16]
        let values = out.tensors.filter { !$0.name.contains("@") }
        #expect(Dictionary(uniqueKeysWithValues: values.map { ($0.name, $0.shape) }) == expected)
        #expect(
          Set(out.tensors.map(\.name)).subtracting(values.map(\.name)) == Set(expected.keys.map { $0 + "@adamw.m" }))
        #expect(out.header.metadata["format"] == "pt" && out.header.metadata["espalier.names"] == "llama")
        #expect(out.header.metadata["espalier.step"] == "2")
        #expect(out.header.metadata["espalier.save"] == "\(reader.saveID)")
        #expect(out.header.metadata["espalier.digest.value"] == "\(value(of: reader))")
        // Keys are rows 16 to 24 of q | k | v.
        var fused = [Float](repeating: 0, count: 32 * 16), keys = [Float](repeating: 1, count: 8 * 16)
        try reader.read(tensor: "blocks.1.attention.qkv.weight", slot: "value", into: &fused)
        let tensor = try #require(out.tensor("model.layers.1.self_attn.k_proj.weight"))
        try out.read(tensor, range: 0..<keys.count, into: &keys)
        #expect(keys == Array(fused[(16 * 16)..<(24 * 16)]))
      })
  }

  @Test("everything that does not fit is named at once")
  func misfits() throws {
    try withCheckpoint(
      Self.cases[0],
      { reader, run, folder in
        let file = folder + "/odd.safetensors"
        let writer = try SafetensorsWriter(
          file,
          tensors: [
            .init(name: "embed.table", element: .float32, shape: [11, 3]),
            .init(name: "blocks.0.norm1.gain", element: .float16, shape: [16]),
            .init(name: "stranger", element: .int64, shape: [2]),
          ], metadata: [:])
        try [UInt8](repeating: 0, count: 11 * 3 * 4 + 32 + 16).withUnsafeBytes { try writer.append($0) }
        try writer.finish()
        let error = #expect(throws: InterchangeError.self) {
          try CheckpointImport(SafetensorsReader(file), blueprint: run.blueprint, table: nil)
        }
        let text = error?.description ?? ""
        #expect(
          error?.kind == .doesNotFit && text.contains("'embed.table' has shape [11, 3] and the model asks for [11, 16]")
        )
        #expect(text.contains("'stranger' of shape [2] is superfluous") && !text.contains("'blocks.0.norm1.gain'"))
        for spec in run.blueprint.parameters where !["embed.table", "blocks.0.norm1.gain"].contains(spec.name) {
          #expect(text.contains("'\(spec.name)' of shape \(spec.shape.dimensions) is missing"))
        }
        let integers = folder + "/integers.safetensors"
        let other = try SafetensorsWriter(
          integers,
          tensors: run.blueprint.parameters.map { .init(name: $0.name, element: .int32, shape: $0.shape.dimensions) },
          metadata: [:])
        try [UInt8](repeating: 0, count: run.blueprint.count * 4).withUnsafeBytes { try other.append($0) }
        try other.finish()
        let refused = #expect(throws: InterchangeError.self) {
          try CheckpointImport(SafetensorsReader(integers), blueprint: run.blueprint, table: nil)
        }
        #expect(refused?.kind == .notFloating && refused?.reason.contains("'embed.table' (I32)") == true)
      })
  }

  @Test("a flipped bit in an exported file is noticed by its digest, and no checkpoint is left")
  func flipped() throws {
    try withCheckpoint(
      Self.cases[0],
      { reader, run, folder in
        let file = folder + "/a.safetensors"
        _ = try CheckpointExport(reader, slots: ["value"], element: .float32, table: nil, model: "decoder")
          .writeSafetensors(to: file)
        var bytes = try Data(contentsOf: URL(filePath: file))
        bytes[bytes.count - 5] ^= 4
        try bytes.write(to: URL(filePath: file))
        let plan = try CheckpointImport(SafetensorsReader(file), blueprint: run.blueprint, table: nil)
        let state = try TrainingState(imported: file, for: run).encoded()
        let error = #expect(throws: InterchangeError.self) { try plan.write(to: folder + "/no", state: state) }
        #expect(error?.kind == .digestMismatch)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["a.safetensors", "run"])
      })
  }

  @Test("bf16 and f16 leave rounded, and come back as what was written")
  func rounded() throws {
    try withCheckpoint(
      Self.cases[0],
      { reader, run, folder in
        for element in [InterchangeElement.bfloat16, .float16] {
          let file = "\(folder)/\(element.rawValue).safetensors"
          _ = try CheckpointExport(reader, slots: ["value"], element: element, table: nil, model: "decoder")
            .writeSafetensors(to: file)
          let state = try TrainingState(imported: file, for: run).encoded()
          _ = try CheckpointImport(SafetensorsReader(file), blueprint: run.blueprint, table: nil)
            .write(to: "\(folder)/\(element.rawValue)", state: state)
          let imported = try CheckpointReader("\(folder)/\(element.rawValue)")
          for record in reader.tensors {
            var before = [Float](repeating: 0, count: record.elementCount), after = before
            try reader.read(tensor: record.name, slot: "value", into: &before)
            try imported.read(tensor: record.name, slot: "value", into: &after)
            let expected = before.map { x -> Float in
              element == .float16
                ? Float(Float16(x))
                : Float(bitPattern: (x.bitPattern + 0x7fff + (x.bitPattern >> 16 & 1)) & 0xffff_0000)
            }
            #expect(after == expected, "\(record.name) as \(element)")
          }
        }
      })
  }

  @Test("the commands: out, in, and a run that starts from it")
  func commands() throws {
    try Command.inFolder { folder in
      func run(_ line: String) throws -> ProcessOutcome {
        try Command.run(line.split(separator: " ").map(String.init), in: folder)
      }
      #expect(try run("train tiny.yaml --run run").status == 0)
      #expect(
        try run("export run out.safetensors --names llama").output.hasPrefix("wrote out.safetensors: 21 tensors, "))
      let again = try run("export run out.safetensors")
      #expect(again.status == 1 && again.errorLines.count == 1 && again.errors.contains("nothing is written over one"))
      // The file says which names it has.
      let made = try run("import out.safetensors start --recipe tiny.yaml")
      #expect(made.status == 0 && made.output.contains("start: { from: start, slots: [value] }"), "\(made.errors)")
      #expect(try run("verify start --full").output == "start: whole\n")
      #expect(try run("inspect start").output.contains("import on 1 rank"))
      let from = ["--set", "start={ from: start, slots: [value] }", "--set", "schedule.0.train.steps=1"]
      #expect(try Command.run(["train", "tiny.yaml", "--run", "next"] + from, in: folder).status == 0)
      #expect(try run("import out.safetensors start --recipe tiny.yaml").errors.contains("nothing is written over it"))
      #expect(try run("import out.safetensors x --recipe tiny.yaml --names espalier").errors.contains("is missing"))

      #expect(
        try run("export run gain.npy --tensor blocks.0.norm1.gain --slot adamw.v --json").output.contains(
          "\"elements\" : 16"))
      let gain = try NpyReader(folder + "/gain.npy")
      #expect(gain.header.shape == [16] && gain.header.element == .float32)
      let reader = try #require(try CheckpointDirectory(run: folder + "/run").newestValid().reader)
      var values = [Float](repeating: 0, count: 16)
      try reader.read(tensor: "blocks.0.norm1.gain", slot: "adamw.v", into: &values)
      #expect(try gain.floats(0..<16) == values)
      #expect(try run("export run gain2.npy --tensor nothing").errors.contains("there is no tensor of this name"))
      #expect(
        try run("export run half.npy --tensor blocks.0.norm1.gain --dtype bf16").errors.contains(
          "NumPy has no bfloat16"))
      #expect(try run("export run out.txt").status == 64)
      #expect(try run("export run out.npy").status == 64)
      #expect(
        try run("export run b.safetensors --slots value,nothing").errors.contains("no tensor has a slot 'nothing'"))
      #expect(try run("export run b.safetensors --names gpt2").errors.contains("only espalier, llama"))
    }
  }
}
