extension NewtonSchulz {
  /// What X is multiplied with at once: a polynomial of A = XXᵀ.
  enum Stage: Sendable {
    /// aI + bA + cA²
    case quintic(Step)
    /// aI + bA + cA² + dA³ + eA⁴
    case nonic(Step)
    /// Two quintics.
    case pair(QuinticPair)

    /// One by one at first, then quintics two at a time as far as they go.
    /// - Parameters:
    ///   - first: the step from which on there are pairs.
    ///   - reach: the largest eigenvalue that A can have at the beginning.
    static func grouped(_ steps: [Step], pairsFrom first: Int, reach: Double) -> [Stage] {
      var stages: [Stage] = [], reach = reach, next = 0
      while next < steps.count {
        let step = steps[next], following = next + 1 < steps.count ? steps[next + 1] : nil
        if next >= first, let following, step.canPair, following.canPair {
          stages.append(.pair(QuinticPair(step, following, reach: reach)))
          reach = following.reach(from: step.reach(from: reach))
          next += 2
        } else {
          stages.append(step.isQuintic ? .quintic(step) : .nonic(step))
          reach = step.reach(from: reach)
          next += 1
        }
      }
      return stages
    }

    /// Symmetric products that the polynomial takes.
    var productCount: Int {
      switch self {
      case .quintic: 1
      case .nonic: 2
      case .pair: 4
      }
    }

    /// Square matrices in which it works.
    var workCount: Int {
      switch self {
      case .quintic: 0
      case .nonic: 2
      case .pair: QuinticPair.workCount
      }
    }

    /// What is written when A is: A itself in its place, or what the polynomial needs of it in `work`.
    func destination(_ a: UnsafeMutablePointer<Float>, _ work: SquareRoom) -> PanelProducts.Destination {
      switch self {
      case .quintic, .nonic: .init(matrix: a)
      case .pair(let pair): pair.centred(work)
      }
    }

    /// The polynomial of A, whose `destination` was written. A pair works in the place of A as well.
    func polynomial(
      of a: UnsafeMutablePointer<Float>, into result: UnsafeMutablePointer<Float>, work: SquareRoom,
      _ multiply: PanelProducts
    ) {
      switch self {
      case .quintic(let step):
        multiply(a, a, terms: .init(a), into: .init(matrix: result, lead: step.c, cubic: [step.a, step.b, 0, 0]))
      case .nonic(let step):
        // aI + bA + A²(cI + dA + eA²): two products where powers one by one take three.
        let square = work[0], factor = work[1]
        multiply(
          a, a, terms: .init(a), into: .init(matrix: square),
          .init(matrix: factor, lead: step.e, cubic: [step.c, step.d, 0, 0]))
        multiply(square, factor, terms: .init(a), into: .init(matrix: result, cubic: [step.a, step.b, 0, 0]))
      case .pair(let pair):
        pair.evaluate(into: result, rest: a, work: work, multiply)
      }
    }
  }
}

/// Square matrices of working memory, one after the other.
struct SquareRoom {
  let first: UnsafeMutablePointer<Float>
  /// Floats from one to the next.
  let stride: Int

  subscript(index: Int) -> UnsafeMutablePointer<Float> { first + index * stride }

  /// Those from the given one on.
  func from(_ index: Int) -> SquareRoom { SquareRoom(first: self[index], stride: stride) }
}

extension NewtonSchulz.Step {
  /// The polynomial of two such steps has the degree that a pair evaluates.
  fileprivate var canPair: Bool { isQuintic && c != 0 }

  /// The largest eigenvalue of the next XXᵀ where those of this one are up to `reach`: at 4096 points, for a scale and not a bound.
  fileprivate func reach(from reach: Double) -> Double {
    let points = 4096, polynomial = Polynomial([a, b, c, d, e])
    return (0...points).map { index in
      let eigenvalue = reach * Double(index) / Double(points), factor = polynomial(eigenvalue)
      return eigenvalue * factor * factor
    }.max() ?? reach
  }
}
