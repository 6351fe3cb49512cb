import CKernels
public import EspalierNN
public import EspalierState
import EspalierTensor

/// Momentum orthogonalised by Newton–Schulz for hidden matrices, AdamW for everything else.
///
/// For each matrix: m ← μm + (1 − μ)g; u = μm + (1 − μ)g in Nesterov's form, else m; θ ← θ(1 − η·λ) − η·s·NS(u), with s by the
/// shape. A matrix whose gradient is exactly zero is left alone, momentum and decay included: NS would give a stale direction its full
/// size. Fused projections are split by the parts that their axis declares.
/// - Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv:2502.16982 (scale, decay); Amsel et al. 2025,
///   arXiv:2505.16932 (polynomial).
public struct Muon: Optimizer {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    /// η, the learning rate of matrices at the top of the schedule's shape; 1/step, positive.
    public var rate: Double = 6e-4
    /// λ, the decoupled weight decay of matrices; 1/rate, not negative.
    public var decay: Double = 0.1
    /// μ, the memory of the momentum; 0 ..< 1.
    public var momentum: Double = 0.95
    /// Whether the direction is Nesterov's, one gradient ahead of the momentum.
    public var nesterov = true
    /// Whether the momentum is kept as an average or as a sum.
    public var form = MomentumForm.ema
    /// The polynomials of Newton–Schulz.
    public var preset = Preset.polarExpress
    /// What an orthogonal update is multiplied with, by its shape.
    public var scale = Scale.matchRMSAdamW
    /// What is orthogonalised by itself.
    public var split = Split.parts
    /// Patterns of names that are updated as matrices besides hidden projections.
    public var include: [String] = []
    /// Patterns of names that are left to AdamW.
    public var exclude: [String] = []
    /// AdamW's learning rate; 1/step, 0 for that of matrices.
    public var adamRate: Double = 0
    /// AdamW's weight decay; 1/rate. Gains and biases are exempt.
    public var adamDecay: Double = 0.1
    /// The memory of AdamW's first moment; 0 ..< 1.
    public var adamBeta1: Double = 0.9
    /// The memory of AdamW's second moment; 0 ..< 1.
    public var adamBeta2: Double = 0.95
    /// What is added to the root of AdamW's second moment.
    public var adamEpsilon: Double = 1e-8
    /// The defaults.
    public init() {}

    /// Every option with its unit and meaning, as `espalier describe` tells them.
    public static let fields: [SettingField] = [
      SettingField("rate", unit: "1/step", "Learning rate of matrices at the top of the schedule's shape, η."),
      SettingField("decay", unit: "1/rate", "Decoupled weight decay of matrices, λ."),
      SettingField("momentum", unit: "", "Memory of the momentum, μ."),
      SettingField("nesterov", unit: "bool", "Nesterov's form of the momentum."),
      SettingField(
        "form", unit: "ema | sum",
        "How the momentum is kept: an average or a sum of gradients; steps are alike, and a resume converts."),
      SettingField(
        "preset", unit: "polar_express | polar_express_9 | classical | you | dsv4",
        "The polynomials of Newton–Schulz: arXiv:2505.16932; three of degree 9 by its rule, for less work; Jordan's quintic; "
          + "two others in use."),
      SettingField(
        "scale", unit: "match_rms_adamw | original | spectral",
        "What an orthogonal update is multiplied with: 0.2·√max(out, in), for AdamW's rates; √max(1, out/in); √(out/in)."
      ),
      SettingField(
        "split", unit: "parts | heads | none",
        "What is orthogonalised by itself: parts of fused projections, heads, or whole parameters."),
      SettingField(
        "include", unit: "list of name patterns",
        "Parameters that are updated as matrices besides hidden projections; embeddings and heads are refused."),
      SettingField("exclude", unit: "list of name patterns", "Parameters that are left to AdamW."),
      SettingField("adamRate", unit: "1/step, 0 = rate", "Learning rate of everything else."),
      SettingField("adamDecay", unit: "1/rate", "Weight decay of everything else; gains and biases are exempt."),
      SettingField("adamBeta1", unit: "", "Memory of AdamW's first moment."),
      SettingField("adamBeta2", unit: "", "Memory of AdamW's second moment."),
      SettingField("adamEpsilon", unit: "", "Added to the root of AdamW's second moment."),
    ]
  }

  /// What recipes call it.
  public static let name = "muon"
  /// One sentence for `espalier list`.
  public static let summary =
    "Orthogonalised momentum for hidden matrices, AdamW for the rest "
    + "(Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982; Amsel et al. 2025, arXiv:2505.16932)."

  let options: Options
  /// For what is no hidden matrix.
  private let adam: AdamW
  private let iteration: NewtonSchulz

  /// - Throws: `OptimizerError` for a rate that is not positive, a negative decay, or a memory outside 0 ..< 1.
  public init(_ options: Options) throws {
    guard options.rate > 0, options.rate.isFinite else {
      throw OptimizerError("rate", "is \(options.rate) and must be positive")
    }
    guard options.decay >= 0, options.decay.isFinite else {
      throw OptimizerError("decay", "is \(options.decay) and must not be negative")
    }
    guard (0..<1).contains(options.momentum) else {
      throw OptimizerError("momentum", "is \(options.momentum) and must lie in 0 ..< 1")
    }
    var rest = AdamW.Options()
    (rest.rate, rest.decay, rest.epsilon) = (options.adamRate, options.adamDecay, options.adamEpsilon)
    (rest.beta1, rest.beta2) = (options.adamBeta1, options.adamBeta2)
    do { adam = try AdamW(rest, slotPrefix: Self.name) } catch let error as OptimizerError {
      throw OptimizerError("adam" + error.option.prefix(1).uppercased() + error.option.dropFirst(), error.reason)
    }
    self.options = options
    iteration = options.preset.iteration
  }

  /// η.
  public var rate: Double { options.rate }

  /// The momentum of matrices, whose name tells its form, and AdamW's moments of everything else.
  public var slots: [SlotSpec] { [momentum] + adam.slots }

  /// One or the other.
  public func slots(of spec: ParameterSpec) -> [SlotSpec] { isMatrix(spec) ? [momentum] : adam.slots }

  private static func slot(_ form: MomentumForm) -> String { "\(name).momentum.\(form.rawValue)" }

  /// A checkpoint of the other form is converted when it is read.
  private var momentum: SlotSpec {
    let kept = 1 - options.momentum
    return switch options.form {
    case .ema: SlotSpec(Self.slot(.ema), growth: .likeGradient, conversions: [Self.slot(.sum): Float(kept)])
    case .sum: SlotSpec(Self.slot(.sum), growth: .likeGradient, conversions: [Self.slot(.ema): Float(1 / kept)])
    }
  }

  /// Newton–Schulz needs whole matrices.
  public func granularity(of spec: ParameterSpec) -> Granularity { isMatrix(spec) ? .matrix : .element }

  /// Operations that an element's traffic through memory is worth: about 20 bytes against a product's rate on one core.
  private static let elementCost = 100.0

  /// The operations of Newton–Schulz in the form that is taken, and what passing over the elements is worth.
  public func cost(of spec: ParameterSpec) -> Double {
    let passing = Self.elementCost * Double(spec.count)
    guard isMatrix(spec) else { return passing }
    return blocks(of: spec).reduce(passing) {
      let form = NewtonSchulz.Form.chosen(rows: $1.rows, columns: $1.columns)
      return $0 + iteration.operations(rows: $1.rows, columns: $1.columns, form: form)
    }
  }

  /// "3 blocks: 384 x 384 standard"
  public func form(of spec: ParameterSpec) -> String? {
    guard isMatrix(spec) else { return "adamw" }
    var kinds: [(text: String, count: Int)] = []
    for block in blocks(of: spec) {
      let text =
        "\(block.rows) x \(block.columns) \(NewtonSchulz.Form.chosen(rows: block.rows, columns: block.columns))"
      if kinds.last?.text == text { kinds[kinds.count - 1].count += 1 } else { kinds.append((text, 1)) }
    }
    return "muon: " + kinds.map { $0.count == 1 ? $0.text : "\($0.count) of \($0.text)" }.joined(separator: ", ")
  }

  /// Whole matrices; stretches of everything else.
  public func update(_ shard: ParameterShard, at moment: UpdateMoment) {
    if isMatrix(shard.spec) { return updateWhole(shard, at: moment) }
    var moment = moment
    if options.adamRate > 0 { moment.rate *= options.adamRate / options.rate }
    adam.update(shard, at: moment)
  }
}

extension Muon: AssemblingOptimizer {
  /// One for each block: it is left alone where its gradient is zero.
  public func markCount(of spec: ParameterSpec) -> Int { blocks(of: spec).count }

  /// The momentum takes the gradient in, in every block that has one here.
  public func begin(_ shard: ParameterShard, _ direction: Direction, at moment: UpdateMoment) {
    guard let gradient = shard.gradient.baseAddress, let kept = shard.slot(momentum.name).baseAddress else { return }
    for (index, block) in blocks(of: shard.spec).enumerated() {
      let hasGradient = block.hasGradient(in: shard)
      direction.marks[index] = hasGradient ? 1 : 0
      if !hasGradient, block.span.clamped(to: shard.range) == block.span { continue }
      block.forEachStretch(in: shard.range) { start, count in
        let place = start - shard.range.lowerBound
        var momentum = kept + place
        if !hasGradient {  // another rank may have one: the momentum stays until that is known
          momentum = shard.scratch.floats(count)
          momentum.update(from: kept + place, count: count)
        }
        remember(gradient + place, in: momentum, direction.elements + place, count, at: moment)
      }
    }
  }

  /// m ← μm + (1 − μ)g, and the direction of it.
  private func remember(
    _ gradient: UnsafePointer<Float>, in momentum: UnsafeMutablePointer<Float>,
    _ direction: UnsafeMutablePointer<Float>, _ count: Int, at moment: UpdateMoment
  ) {
    ck_momentum(
      gradient, momentum, direction, count, options.momentum, options.form == .ema ? 1 - options.momentum : 1,
      options.nesterov ? 1 : 0, moment.gradientScale)
  }

  /// What the widest block takes.
  public func scratchCount(of spec: ParameterSpec) -> Int {
    blocks(of: spec).map { block in
      (block.isContiguous ? 0 : block.room)
        + iteration.scratchCount(
          rows: block.rows, columns: block.columns, form: .chosen(rows: block.rows, columns: block.columns))
    }.max() ?? 0
  }

  /// Newton–Schulz of every block that has a gradient somewhere.
  public func transform(_ direction: Direction, of spec: ParameterSpec, scratch: UnsafeMutablePointer<Float>) {
    for (index, block) in blocks(of: spec).enumerated() where direction.marks[index] != 0 {
      let form = NewtonSchulz.Form.chosen(rows: block.rows, columns: block.columns)
      if block.isContiguous {
        iteration(
          direction.elements + block.start, rows: block.rows, columns: block.columns, form: form, scratch: scratch)
        continue
      }
      for row in 0..<block.rows {
        (scratch + row * block.columns).update(
          from: direction.elements + block.start + row * block.stride, count: block.columns)
      }
      iteration(scratch, rows: block.rows, columns: block.columns, form: form, scratch: scratch + block.room)
      for row in 0..<block.rows {
        (direction.elements + block.start + row * block.stride).update(
          from: scratch + row * block.columns, count: block.columns)
      }
    }
  }

  /// A plain step along s·O.
  public func finish(_ shard: ParameterShard, _ direction: Direction, at moment: UpdateMoment) {
    guard let value = shard.value.baseAddress, let gradient = shard.gradient.baseAddress,
      let kept = shard.slot(momentum.name).baseAddress
    else { return }
    for (index, block) in blocks(of: shard.spec).enumerated() where direction.marks[index] != 0 {
      let isBehind = !block.hasGradient(in: shard)
      let factor = options.scale.factor(rows: block.rows, columns: block.columns)
      block.forEachStretch(in: shard.range) { start, count in
        let place = start - shard.range.lowerBound
        ck_sgd(
          value + place, direction.elements + place, nil, count, moment.rate * shard.group.rate, 0, 0,
          options.decay * shard.group.decay, factor)
        if isBehind {
          remember(gradient + place, in: kept + place, shard.scratch.floats(count), count, at: moment)
        }
      }
    }
  }
}
