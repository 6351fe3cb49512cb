package import EspalierTensor

extension Muon {
  /// The polynomial of the Newton–Schulz steps.
  public enum Preset: String, Codable, Sendable, CaseIterable {
    /// Amsel et al. 2025, arXiv:2505.16932: five steps, each the best for what the one before left.
    case polarExpress = "polar_express"
    /// Three polynomials of degree 9 by the same rule: the slope at zero of `classical` (480 against 485), and from 0.0015 of the
    /// norm on no singular value farther from 1 (0.32; on average they are farther, 0.20 against 0.16), for 15m³ operations on a square
    /// where five quintics take 18m³.
    case polarExpress9 = "polar_express_9"
    /// Jordan et al. 2024: one quintic, five times.
    case classical
    /// Five quintics of growing care, by You.
    case you
    /// Eight classical steps and two that finish.
    case dsv4

    package var iteration: NewtonSchulz {
      switch self {
      case .polarExpress:
        // 2 % of safety is folded into all but the last.
        NewtonSchulz(
          steps: [
            .init(8.156554524902461, -22.48329292557795, 15.878769915207462),
            .init(4.042929935166739, -2.808917465908714, 0.5000178451051316),
            .init(3.8916678022926607, -2.772484153217685, 0.5060648178503393),
            .init(3.285753657755655, -2.3681294933425376, 0.46449024233003106),
            .init(2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
          ], multiplier: 1.02, epsilon: 1e-6)
      case .polarExpress9:
        // Each is the best on what the one before left of 0.0015 ... 1, then centred on 1; half a per cent of safety is folded into all
        // but the last (docs/decisions/0019).
        NewtonSchulz(
          steps: [
            .init(14.931673357719008, -144.97101377997146, 477.8388105625544, -608.2288160908687, 262.03158710902903),
            .init(6.920132115206071, -16.653459472891928, 13.907546810777497, -4.5067671853860825, 0.49519596794963),
            .init(4.641142359320131, -10.166837282610636, 9.081032150774357, -3.279038969538112, 0.40812844493666955),
          ], multiplier: 1, epsilon: 1e-7)
      case .classical:
        NewtonSchulz(steps: Array(repeating: Self.quintic, count: 5), multiplier: 1, epsilon: 1e-7)
      case .you:
        NewtonSchulz(
          steps: [
            .init(4.0848, -6.8946, 2.9270), .init(3.9505, -6.3029, 2.6377), .init(3.7418, -5.5913, 2.3037),
            .init(2.8769, -3.1427, 1.2046), .init(2.8366, -3.0525, 1.2012),
          ], multiplier: 1, epsilon: 1e-7)
      case .dsv4:
        NewtonSchulz(
          steps: Array(repeating: Self.quintic, count: 8) + [.init(2, -1.5, 0.5), .init(2, -1.5, 0.5)], multiplier: 1,
          epsilon: 1e-7)
      }
    }

    private static let quintic = NewtonSchulz.Step(3.4445, -4.7750, 2.0315)
  }

  /// What the orthogonal matrix is multiplied with, of `rows` outputs and `columns` inputs.
  public enum Scale: String, Codable, Sendable, CaseIterable {
    /// 0.2·√max(rows, columns): an update of the size of AdamW's (Liu et al. 2025, arXiv:2502.16982).
    case matchRMSAdamW = "match_rms_adamw"
    /// √max(1, rows/columns).
    case original
    /// √(rows/columns): the same growth of activations at every width.
    case spectral

    func factor(rows: Int, columns: Int) -> Double {
      let (rows, columns) = (Double(rows), Double(columns))
      return switch self {
      case .matchRMSAdamW: 0.2 * max(rows, columns).squareRoot()
      case .original: max(1, rows / columns).squareRoot()
      case .spectral: (rows / columns).squareRoot()
      }
    }
  }

  /// How the momentum is kept. Both forms step alike; a slot of one is 1/(1 − μ) times that of the other.
  public enum MomentumForm: String, Codable, Sendable, CaseIterable {
    /// μm + (1 − μ)g.
    case ema
    /// μm + g.
    case sum
  }
}
