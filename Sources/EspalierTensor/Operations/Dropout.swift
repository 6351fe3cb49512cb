import CKernels

extension Tensor {
  /// Zeroes each element with probability `rate` and divides the others by 1 - rate; does nothing on a tape for inference.
  ///
  /// Element j of sample s is kept if `key.child(s).bits(at: j)` ≥ rate · 2⁶⁴, with s the global index of the sample, so what is
  /// dropped does not depend on how a batch is cut. The mask is drawn again in the backward pass, not kept.
  /// - Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout, JMLR 15, 2014.
  /// - Precondition: 0 ≤ rate < 1; the tape's samples divide the elements evenly.
  public func dropout(_ rate: Float, key: RandomKey) -> Tensor {
    require(rate >= 0 && rate < 1, "a rate of \(rate) is no probability below 1")
    guard !tape.isEvaluating, rate > 0 else { return self }
    let samples = tape.samples
    require(
      samples.isEmpty ? count == 0 : count % samples.count == 0,
      "\(count) elements do not divide into the \(samples.count) samples of the tape")
    let perSample = samples.isEmpty ? 0 : count / samples.count
    let threshold = UInt64(Double(rate) * 0x1p64)
    let factor = Float(1 / (1 - Double(rate)))
    func mask(_ source: Tensor, _ beta: Float, _ destination: UnsafeMutablePointer<Float>) {
      for (position, sample) in samples.enumerated() {
        let start = position * perSample
        ck_dropout(
          source.pointer + start, key.child(sample).state, threshold, factor, beta, destination + start, perSample)
      }
    }
    let output = tape.pool.storage(count: count)
    mask(self, 0, output.pointer)
    let x = place
    return tape.record(output, shape, inputs: [self]) { dy, gradients in
      gradients.add(to: x) { mask(dy, $1, $0) }
    }
  }
}
