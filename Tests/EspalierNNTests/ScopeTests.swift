import EspalierNN
import EspalierTensor
import EspalierTesting
import Testing

/// What making a model leaves behind, and the mistakes that stop it.
@Suite struct ScopeTests {
  /// Any parameters, computing nothing.
  struct Part: Layer {
    let parameters: [Parameter]
    func callAsFunction(_ x: Tensor) -> Tensor { x }
  }

  @Test("names are paths, in the order in which they were made, in the segment where they were made")
  func names() {
    let blueprint = Scope.build { scope in
      let first = scope.segment("first", stack: "pile", resident: true) { scope in
        Part(parameters: [
          scope.parameter("weight", [.output("a", 2), .input("b", 3)], .ones, tags: [.head]),
          scope.child("inner") { scope in
            scope.child("deeper") { $0.parameter("bias", [.output("a", 2)], .zeros, isTrainable: false) }
          },
        ])
      }
      let second = scope.child("tower") { scope in
        scope.segment("second") { Part(parameters: [$0.parameter("gain", [.input("b", 3)], .ones)]) }
      }
      return [first, second]
    }.blueprint
    #expect(blueprint.parameters.map(\.name) == ["first.weight", "first.inner.deeper.bias", "tower.second.gain"])
    #expect(blueprint.parameters.map(\.count) == [6, 2, 3] && blueprint.count == 11)
    #expect(blueprint.parameters.map(\.isTrainable) == [true, false, true])
    #expect(blueprint.parameters[0].tags == [.head])
    #expect(blueprint.segments.map(\.name) == ["first", "tower.second"])
    #expect(blueprint.segments.map(\.stack) == ["pile", nil] && blueprint.segments.map(\.isResident) == [true, false])
    #expect(blueprint.segments.map(\.parameters) == [0..<2, 2..<3])
    #expect(blueprint.parameters(of: blueprint.segments[1]).map(\.name) == ["tower.second.gain"])
  }

  @Test("a frozen parameter has a window on its value and none on a gradient")
  func frozen() {
    let built = Scope.build { scope in
      scope.segment("only") { scope in
        Part(parameters: [true, false].map { scope.parameter("\($0)", [.output("a", 2)], .zeros, isTrainable: $0) })
      }
    }
    #expect(built.parameters.map { $0.gradient != nil } == [true, false])
    #expect(built.parameters.allSatisfy { !$0.window.isBound })
  }

  @Test("two parameters of one name stop the program")
  func twice() async throws {
    let result = try await #require(
      processExitsWith: .failure, observing: [\.standardErrorContent],
      performing: {
        _ = Scope.build { scope in
          scope.segment("only") { scope in
            Part(parameters: (0..<2).map { _ in scope.parameter("weight", [.output("a", 2)], .zeros) })
          }
        }
      })
    #expect(
      String(decoding: result.standardErrorContent, as: UTF8.self).contains("two parameters are called 'only.weight'"))
  }

  @Test("a parameter outside of every segment stops the program")
  func outside() async throws {
    let result = try await #require(
      processExitsWith: .failure, observing: [\.standardErrorContent],
      performing: { _ = Scope.build { $0.parameter("stray", [.output("a", 2)], .zeros) } })
    #expect(
      String(decoding: result.standardErrorContent, as: UTF8.self).contains("'stray' is made outside of every segment"))
  }

  @Test("a segment inside a segment stops the program")
  func nested() async throws {
    let result = try await #require(
      processExitsWith: .failure, observing: [\.standardErrorContent],
      performing: {
        _ = Scope.build { scope in
          scope.segment("outer") { scope in
            _ = scope.segment("inner") { _ in Part(parameters: []) }
            return Part(parameters: [])
          }
        }
      })
    #expect(
      String(decoding: result.standardErrorContent, as: UTF8.self)
        .contains("segment 'outer.inner' begins inside segment 'outer'"))
  }
}
