import EspalierTensor

/// The path-carrying builder that a model is made with. It allocates nothing: it leaves a blueprint behind.
///
/// Names are written once, at creation, as strings: renaming a Swift property never breaks a checkpoint.
public struct Scope {
  private let builder: BlueprintBuilder
  /// What is written before the names of its parameters.
  package let path: String

  private init(_ builder: BlueprintBuilder, path: String) {
    self.builder = builder
    self.path = path
  }

  /// A weight of the current segment.
  /// - Parameter axes: outermost first; a product's weight is `[output, input]`.
  public func parameter(
    _ name: String, _ axes: [Axis], _ initializer: Initializer, tags: Set<ParameterTag> = [], isTrainable: Bool = true
  ) -> Parameter {
    builder.parameter(
      ParameterSpec(
        name: join(name), axes: axes, initializer: initializer, tags: tags,
        isTrainable: isTrainable && !builder.isFrozen(join(name))))
  }

  /// A part of the model under its own name.
  public func child<Made>(_ name: String, _ make: (Scope) -> Made) -> Made { make(Scope(builder, path: join(name))) }

  /// A part that is gathered, recomputed, reduced and stacked as one. Segments do not nest.
  public func segment<Body: Layer>(
    _ name: String, stack: String? = nil, resident: Bool = false, _ make: (Scope) -> Body
  ) -> Segment<Body> {
    let handle = builder.begin(segment: join(name), stack: stack, resident: resident)
    let body = make(Scope(builder, path: join(name)))
    builder.endSegment()
    return Segment(body: body, handle: handle)
  }

  /// A number that the model computes with: `standard`, or what growth has made of it.
  /// - Parameter label: of the axis that a norm runs over.
  public func constant(_ name: String, _ kind: ConstantSpec.Kind, label: String = "", _ standard: Double) -> Double {
    builder.constant(join(name), kind, label, standard)
  }

  /// Has rows of weights shrink after steps in which logits grew too large.
  public func clip(_ clip: LogitClip) { builder.clips.append(clip) }

  /// The random stream of a layer without weights, such as dropout.
  public func stream(_ name: String) -> String { join(name) }

  private func join(_ name: String) -> String { path.isEmpty ? name : path + "." + name }

  /// Builds a model and what it leaves behind.
  /// - Parameters:
  ///   - isFrozen: by the name of a parameter, whether it is frozen even if its model would train it.
  ///   - constants: what growth has made of the model's constants, by name.
  package static func build<Made>(
    freezing isFrozen: @escaping (String) -> Bool = { _ in false }, constants: [String: Double] = [:],
    _ make: (Scope) throws -> Made
  ) rethrows -> Built<Made> {
    let builder = BlueprintBuilder(isFrozen, constants)
    let made = try make(Scope(builder, path: ""))
    let blueprint = Blueprint(
      parameters: builder.parameters.map(\.spec), segments: builder.segments, constants: builder.constants)
    for (handle, isSwept) in zip(builder.handles, blueprint.sweptSegments) { handle.isSwept = isSwept }
    return Built(
      model: made, blueprint: blueprint, parameters: builder.parameters, handles: builder.handles, clips: builder.clips)
  }
}

/// A model, its blueprint, and the objects that the store binds.
package struct Built<Model> {
  package let model: Model
  package let blueprint: Blueprint
  /// In the order of the blueprint.
  package let parameters: [Parameter]
  package let handles: [SegmentHandle]
  package let clips: [LogitClip]
}

/// What a scope writes into while a model is made.
private final class BlueprintBuilder {
  var parameters: [Parameter] = []
  var segments: [SegmentSpec] = []
  var handles: [SegmentHandle] = []
  var constants: [ConstantSpec] = []
  var clips: [LogitClip] = []
  let isFrozen: (String) -> Bool
  private let given: [String: Double]
  private var names: Set<String> = []
  private var open: (name: String, stack: String?, resident: Bool, first: Int)?

  init(_ isFrozen: @escaping (String) -> Bool, _ given: [String: Double]) {
    self.isFrozen = isFrozen
    self.given = given
  }

  func constant(_ name: String, _ kind: ConstantSpec.Kind, _ label: String, _ standard: Double) -> Double {
    require(!constants.contains { $0.name == name }, "two constants are called '\(name)'")
    let value = given[name] ?? standard
    constants.append(ConstantSpec(name: name, kind: kind, label: label, value: value))
    return value
  }

  func parameter(_ spec: ParameterSpec) -> Parameter {
    require(open != nil, "'\(spec.name)' is made outside of every segment")
    require(names.insert(spec.name).inserted, "two parameters are called '\(spec.name)'")
    let parameter = Parameter(spec)
    parameters.append(parameter)
    return parameter
  }

  func begin(segment name: String, stack: String?, resident: Bool) -> SegmentHandle {
    require(open == nil, "segment '\(name)' begins inside segment '\(open?.name ?? "")'")
    open = (name, stack, resident, parameters.count)
    let handle = SegmentHandle(index: handles.count, name: name)
    handles.append(handle)
    return handle
  }

  func endSegment() {
    guard let open else { return }
    segments.append(
      SegmentSpec(
        name: open.name, stack: open.stack, isResident: open.resident, parameters: open.first..<parameters.count))
    self.open = nil
  }
}
