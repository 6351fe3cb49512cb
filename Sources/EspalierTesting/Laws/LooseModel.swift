package import EspalierNN
package import EspalierTensor

/// Segments of parameters of any sizes, for layouts and stores: a model that computes nothing.
package enum LooseModel {
  /// - Parameters:
  ///   - segments: for each segment the sizes of its parameters; they are called "segment.parameter" by number.
  ///   - isFrozen: by name.
  package static func build(
    _ segments: [[Int]], freezing isFrozen: @escaping (String) -> Bool = { _ in false }
  ) -> Built<[Segment<LooseSegment>]> {
    Scope.build(freezing: isFrozen) { scope in
      segments.enumerated().map { index, sizes in
        scope.segment("\(index)") { LooseSegment($0, sizes) }
      }
    }
  }
}

package struct LooseSegment: Layer {
  let parameters: [Parameter]

  init(_ scope: Scope, _ sizes: [Int]) {
    parameters = sizes.enumerated().map { index, size in
      scope.parameter("\(index)", [.output("rows \(size)", size)], .normal(standardDeviation: 1))
    }
  }

  package func callAsFunction(_ x: Tensor) -> Tensor { x }
}
