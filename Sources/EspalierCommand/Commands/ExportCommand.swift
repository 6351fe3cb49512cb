import ArgumentParser
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTrain

struct ExportCommand: CatalogueCommand {
  enum Precision: String, CaseIterable, ExpressibleByArgument {
    case f32, bf16, f16

    var element: InterchangeElement {
      switch self {
      case .f32: .float32
      case .bf16: .bfloat16
      case .f16: .float16
      }
    }
  }

  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes weights for other software: all as safetensors, or one tensor as .npy.",
    discussion: """
      The ending of FILE decides which. Nothing is written over a file that exists. f32 keeps every bit; bf16 and f16 round to nearest, ties \
      to even, and what is too large becomes infinite, which is counted. Slots other than value are called name@slot.
      """)

  @OptionGroup var checkpoint: CheckpointArgument

  @Argument(help: ArgumentHelp("The file to write: *.safetensors or *.npy.", valueName: "file")) var file: String

  @Option(help: ArgumentHelp("The slots to write, separated by commas.", valueName: "names"))
  var slots = "value"

  @Option(help: "The type of the elements.") var dtype = Precision.f32

  @Option(
    help: ArgumentHelp(
      "Whose names the tensors have: espalier, or a table of the model's (decoder: llama).", valueName: "table"))
  var names = NameTable.identityName

  @Option(help: ArgumentHelp("For .npy: the tensor.", valueName: "name")) var tensor: String?
  @Option(help: ArgumentHelp("For .npy: its slot (default: value).", valueName: "name")) var slot: String?
  @Flag(help: "Print JSON.") var json = false

  private var isNpy: Bool { file.hasSuffix(".npy") }

  func validate() throws {
    guard isNpy || file.hasSuffix(".safetensors") else {
      throw ValidationError("'\(file)' should end in .safetensors or .npy.")
    }
    guard isNpy == (tensor != nil), isNpy || slot == nil else {
      throw ValidationError("--tensor goes with a .npy file, which holds one tensor, and --slot with --tensor.")
    }
    guard !isNpy || (names == NameTable.identityName && slots == SlotSpec.value.name) else {
      throw ValidationError("--names and --slots go with a .safetensors file.")
    }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    let reader = try checkpoint.open()
    let report: CheckpointExport.Report
    if let tensor {
      report = try CheckpointExport.writeNpy(
        reader, tensor: tensor, slot: slot ?? SlotSpec.value.name, element: dtype.element, to: file)
    } else {
      let model = try TrainingState(from: reader).model(in: reader.settings(context.catalogue)).choice
      let chosen = slots.split(separator: ",").map { $0.trimmingPrefix(" ") }.map(String.init)
      report = try CheckpointExport(
        reader, slots: chosen, element: dtype.element, table: context.catalogue.nameTable(names, model),
        model: model.name
      ).writeSafetensors(to: file)
    }
    if report.becameInfinite > 0 {
      FailureReport.warn("\(report.becameInfinite) elements are too large for \(dtype.rawValue) and became infinite")
    }
    if json {
      try Output.json(report)
    } else {
      Output.line(
        "wrote \(report.path): \(Amount.count(report.tensors, "tensor")), \(Amount.grouped(report.elements)) elements "
          + "of \(dtype.rawValue), \(Amount.bytes(report.bytes))")
    }
    return 0
  }
}
