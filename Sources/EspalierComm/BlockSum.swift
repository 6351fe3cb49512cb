internal import CKernels
internal import CMPI

/// Obeys a counter's plan block by block: what lies between two of its steps stays in the nearest cache, every summand is read once, and none
/// is written.
struct BlockSum {
  /// Elements; three blocks fit the first-level cache of every processor of this century's second decade.
  static let blockElements = 2048

  /// An operand: in memory it moves on from block to block, in scratch it stays.
  private struct Place {
    let pointer: UnsafeMutablePointer<Float>
    let moves: Bool
    func at(_ offset: Int) -> UnsafeMutablePointer<Float> { moves ? pointer + offset : pointer }
  }

  private struct Step {
    let destination: Place
    let left: Place
    let right: Place?
  }

  private let steps: [Step]
  private let result: UnsafeMutablePointer<Float>
  private let usesScratch: Bool

  /// - Parameters:
  ///   - nodes: where each node of the round lies; read only, except that a slot may be one of them.
  ///   - slots: the counter's.
  ///   - scratch: a block for each node.
  init(
    _ plan: CounterPlan, nodes: [UnsafeMutablePointer<Float>], slots: [UnsafeMutablePointer<Float>],
    scratch: UnsafeMutablePointer<Float>
  ) {
    var places = nodes.map { Place(pointer: $0, moves: true) }
    var usesScratch = false
    func place(_ place: CounterStep.Place) -> Place {
      switch place {
      case .slot(let index): Place(pointer: slots[index], moves: true)
      case .node(let index): places[index]
      }
    }
    steps = plan.steps.map { step in
      let left = place(step.left)
      let right = step.right.map(place)
      // The plan adds into the memory of a node; here that is somebody else's.
      if case .node(let index) = step.destination {
        places[index] = Place(pointer: scratch + index * Self.blockElements, moves: false)
        usesScratch = true
      }
      return Step(destination: place(step.destination), left: left, right: right)
    }
    self.usesScratch = usesScratch
    result = slots[0]
  }

  /// Adds `count` elements and copies what then lies in slot 0 to every one of `copies`.
  ///
  /// - Parameter isRounded: make the sum one that 16 bits hold before it is copied.
  func run(count: Int, copies: [UnsafeMutablePointer<Float>] = [], isRounded: Bool = false) {
    let block = usesScratch || !copies.isEmpty ? Self.blockElements : max(count, 1)
    for offset in stride(from: 0, to: count, by: block) {
      let length = min(block, count - offset)
      for step in steps {
        let destination = step.destination.at(offset)
        let left = step.left.at(offset)
        if let right = step.right {
          ck_add(left, right.at(offset), destination, length)
        } else if destination != left {
          destination.update(from: left, count: length)
        }
      }
      if isRounded { cmpi_bfloat16_round(result + offset, Int64(length)) }
      for copy in copies { (copy + offset).update(from: result + offset, count: length) }
    }
  }
}
