public import EspalierTensor

/// Which way a pass goes through a segment.
package enum PassDirection: Sendable { case forward, backward }

/// Who holds the memory of segments: told when a pass enters and leaves one.
package protocol SegmentKeeper: AnyObject {
  func enter(_ segment: Int, _ direction: PassDirection)
  func leave(_ segment: Int, _ direction: PassDirection, recording: Bool)
}

/// The thread from a segment in a model to its keeper.
package final class SegmentHandle {
  package let index: Int
  package let name: String
  package weak var keeper: (any SegmentKeeper)?
  /// Whether the backward pass computes the segment again instead of keeping its activations.
  package var recomputes = false
  /// Whether backward passes go through the segment; false where nothing is trained in it or before it.
  package internal(set) var isSwept = true

  init(index: Int, name: String) {
    self.index = index
    self.name = name
  }

  func enter(_ direction: PassDirection) { keeper?.enter(index, direction) }
  func leave(_ direction: PassDirection, recording: Bool) { keeper?.leave(index, direction, recording: recording) }
}

/// A layer that is gathered, recomputed, reduced and stacked as one.
public struct Segment<Body: Layer>: Layer {
  /// The layer itself.
  public let body: Body
  package let handle: SegmentHandle

  init(body: Body, handle: SegmentHandle) {
    self.body = body
    self.handle = handle
  }

  /// Runs the body between enter and leave, and marks the tape so that the sweep does the same in reverse.
  public func callAsFunction(_ input: Body.Input) -> Tensor {
    let tape = input.tape
    let recording = tape.mode == .recording
    let isSwept = recording && (handle.isSwept || (input as? Tensor)?.node != nil)
    handle.enter(.forward)
    if isSwept { tape.mark { [handle] in handle.leave(.backward, recording: true) } }
    let output = isSwept && handle.recomputes ? recomputed(input) : body(input)
    if isSwept { tape.mark { [handle] in handle.enter(.backward) } }
    handle.leave(.forward, recording: recording)
    return output
  }

  /// A second use of a resident segment later in the same pass (a head that shares the embedding's table).
  ///
  /// The mark stands behind what `use` records, so that the sweep, which comes from there, finds the gradient's window open.
  public func again(on tape: Tape, _ use: (Body) -> Tensor) -> Tensor {
    handle.enter(.forward)
    let output = use(body)
    tape.mark { [handle] in handle.enter(.backward) }
    return output
  }

  /// Runs the body unrecorded and replays it on a tape of its own during the sweep, from the same random stream: the same bits
  /// for the memory of one activation instead of all.
  private func recomputed(_ input: Body.Input) -> Tensor {
    guard let tensor = input as? Tensor, let body = body as? any Layer<Tensor> else { return body(input) }
    let tape = tensor.tape
    let plain = Tape(pool: tape.pool, mode: .unrecorded, key: tape.key, samples: tape.samples)
    (plain.groups, plain.share, plain.task) = (tape.groups, tape.share, tape.task)
    let isTracked = tensor.node != nil
    let output = body(plain.variable(tensor))
    return tape.record(output.storage, output.shape, inputs: [tensor], always: true) { gradient, gradients in
      let replay = Tape(pool: tape.pool, mode: .recording, key: tape.key, samples: tape.samples)
      (replay.groups, replay.share, replay.task) = (tape.groups, tape.share, tape.task)
      // Where nothing before is trained, the gradient of the input is not computed.
      let start = isTracked ? replay.variable(tensor) : replay.lent(tensor)
      let end = body(start)
      if let share = replay.backward(from: end, seed: gradient, wanting: isTracked ? [start] : []).first ?? nil {
        gradients.pass(share, to: tensor)
      }
    }
  }
}
