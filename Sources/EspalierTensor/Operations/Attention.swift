import CKernels

/// How the fused rows of an attention are cut: [batch·time, (heads + 2·keyValueHeads)·headWidth], columns q | k | v, each head
/// after head. Query head h reads key and value head h / (heads / keyValueHeads).
public struct AttentionShape: Hashable, Sendable {
  /// Samples, rows of a sample, query heads, key and value heads, features of a head.
  public let batch, time, heads, keyValueHeads, headWidth: Int

  /// - Precondition: nothing is negative, and `keyValueHeads` divides `heads`.
  public init(batch: Int, time: Int, heads: Int, keyValueHeads: Int, headWidth: Int) {
    require(batch >= 0 && time >= 0 && headWidth >= 1 && heads >= 1, "an attention needs a head and a width")
    require(
      keyValueHeads >= 1 && heads % keyValueHeads == 0,
      "\(heads) query heads do not divide among \(keyValueHeads) heads of keys and values")
    self.batch = batch
    self.time = time
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headWidth = headWidth
  }

  /// The width of a row that holds queries, keys and values.
  public var fusedWidth: Int { (heads + 2 * keyValueHeads) * headWidth }
  /// The width of a row of results.
  public var outputWidth: Int { heads * headWidth }

  /// What the products of an attention of this shape take: two a block of queries forward, five backward, for the backward pass
  /// computes the probabilities again. A causal block meets the keys up to its own end.
  public func operations(causal: Bool) -> ProductOperations {
    let block = queryBlock(time: time)
    let pairs = stride(from: 0, to: time, by: block).reduce(0) { sum, first in
      let end = min(time, first + block)
      return sum + (end - first) * (causal ? end : time)
    }
    let product = 2 * batch * heads * headWidth * pairs
    return ProductOperations(forward: 2 * product, backward: 5 * product)
  }

  func check(_ x: Tensor) {
    require(
      x.shape.columns == fusedWidth && x.shape.rows == batch * time,
      "fused rows of \(x.shape) are not [\(batch)·\(time), \(fusedWidth)]")
  }
}

/// How many queries are computed at once: their logits for all keys stay in the second-level cache.
///
/// Smaller blocks compute fewer masked products, larger ones pack keys and values less often. On one thread of Zen 4 with
/// OpenBLAS 0.3.21 (batch 8, heads 6, time 256, head width 64, causal; forward + backward): 24.2 ms at 16, 22.7 at 32, 23.5 at
/// 64, 27.8 at 128; batch 1, time 1536: 87.5 ms at 32, 82.5 at 64, 82.7 at 128 (a C loop of the same calls, best of 15).
/// The operation itself takes 22.7 ms for the former where PyTorch 2.15 takes 44 ms (medians of 12, three times in turn).
private func queryBlock(time: Int) -> Int { time <= 512 ? 32 : 64 }

extension Tensor {
  /// softmax(scale · q kᵀ) v for every head, over earlier and the same positions if `causal`.
  ///
  /// Fused rows [batch·time, fusedWidth] → [batch·time, heads·headWidth]. Works in blocks of 32 or 64 queries against all keys
  /// that any of them may see; what is kept is one number for each row and head, the logarithm of the sum, and the
  /// backward pass computes the probabilities again from it. Products read and write the fused rows in place. For grouped
  /// queries the gradients of keys and values are summed over the group in head order.
  ///
  /// A NaN in a query makes its row NaN; one in a key or value also reaches earlier rows of the same block of queries.
  /// Logits of ∞ make the row NaN. Probabilities below e^-87 are 0.
  /// - Dao, Fu, Ermon, Rudra, Ré: FlashAttention, NeurIPS 2022, arXiv:2205.14135. We keep whole rows of a panel instead of
  ///   running maxima: a panel of so few rows fits the cache.
  /// - Parameter peaks: where the largest logit of each head is noted, scale included.
  /// - Precondition: the shape fits; `scale` is positive.
  public func attention(_ shape: AttentionShape, causal: Bool, scale: Float, peaks: LogitPeaks? = nil) -> Tensor {
    shape.check(self)
    require(peaks.map { $0.headCount == shape.heads } ?? true, "peaks of other heads than \(shape.heads)")
    require(scale > 0, "a scale of \(scale) is not positive")
    let output = tape.pool.storage(count: shape.batch * shape.time * shape.outputWidth)
    let logSums = tape.pool.storage(count: shape.batch * shape.heads * shape.time)
    let pass = AttentionPass(shape: shape, causal: causal, scale: scale)
    pass.forward(self, output: output.pointer, logSums: logSums.pointer, peaks: peaks)
    let x = self
    return tape.record(output, [shape.batch * shape.time, shape.outputWidth], inputs: [x]) { dy, gradients in
      gradients.add(to: x) { destination, beta in
        pass.backward(x, output: output, logSums: logSums, dy: dy, into: destination, beta: beta)
      }
    }
  }
}

/// One attention's sizes and strides.
private struct AttentionPass {
  let shape: AttentionShape
  let causal: Bool
  let scale: Float

  private var time: Int { shape.time }
  private var block: Int { queryBlock(time: shape.time) }
  private var width: Int { shape.headWidth }
  private var fused: Int { shape.fusedWidth }
  private var outputWidth: Int { shape.outputWidth }
  /// The distance between rows of a panel: a whole number of cache lines.
  private var panelStride: Int { (time + 15) & ~15 }
  private var panelCount: Int { min(block, time) * panelStride }

  /// Columns of the first query, key and value of a head.
  private func columns(of head: Int) -> (query: Int, key: Int, value: Int) {
    let group = head / (shape.heads / shape.keyValueHeads)
    return (head * width, (shape.heads + group) * width, (shape.heads + shape.keyValueHeads + group) * width)
  }

  /// The keys that the queries before `end` may see.
  private func keys(upTo end: Int) -> Int { causal ? end : time }

  func forward(
    _ x: Tensor, output: UnsafeMutablePointer<Float>, logSums: UnsafeMutablePointer<Float>, peaks: LogitPeaks?
  ) {
    let pool = x.tape.pool
    let panelStorage = pool.storage(count: panelCount)
    let panel = MatrixPlace(panelStorage.pointer, stride: panelStride)
    let inverse = pool.storage(count: block)
    defer { withExtendedLifetime((panelStorage, inverse)) {} }
    for sequence in 0..<shape.batch {
      let rows = x.pointer + sequence * time * fused
      for head in 0..<shape.heads {
        let column = columns(of: head)
        let key = MatrixPlace(rows + column.key, stride: fused)
        let value = MatrixPlace(rows + column.value, stride: fused)
        let logSum = logSums + (sequence * shape.heads + head) * time
        for first in stride(from: 0, to: time, by: block) {
          let end = min(time, first + block)
          let (queries, keys) = (end - first, keys(upTo: end))
          let query = MatrixPlace(rows + first * fused + column.query, stride: fused)
          let result = MatrixPlace(
            output + (sequence * time + first) * outputWidth + head * width, stride: outputWidth)
          multiply(queries, keys, width, query, key, bTransposed: true, beta: 0, into: panel)
          ck_attention_softmax(
            panel.start, queries, keys, panelStride, causal ? 1 : 0, first, scale, logSum + first, inverse.pointer,
            peaks?.pointer(to: head))
          multiply(queries, width, keys, panel, value, beta: 0, into: result)
          ck_scale_rows(result.start, inverse.pointer, queries, width, outputWidth)
        }
      }
    }
  }

  /// Blocks of queries run from the last to the first: the last sees every key, so its products can set the gradients of keys and
  /// values, and the others add to them.
  func backward(
    _ x: Tensor, output: Storage, logSums: Storage, dy: Tensor, into destination: UnsafeMutablePointer<Float>,
    beta: Float
  ) {
    let pool = x.tape.pool
    let (panelStorage, slopeStorage) = (pool.storage(count: panelCount), pool.storage(count: panelCount))
    let panel = MatrixPlace(panelStorage.pointer, stride: panelStride)
    let slope = MatrixPlace(slopeStorage.pointer, stride: panelStride)
    let delta = pool.storage(count: block)
    defer { withExtendedLifetime((panelStorage, slopeStorage, delta)) {} }
    let group = shape.heads / shape.keyValueHeads
    let starts = Array(stride(from: 0, to: time, by: block).reversed())
    for sequence in 0..<shape.batch {
      let rows = x.pointer + sequence * time * fused
      let gradientRows = destination + sequence * time * fused
      for head in 0..<shape.heads {
        let column = columns(of: head)
        let key = MatrixPlace(rows + column.key, stride: fused)
        let value = MatrixPlace(rows + column.value, stride: fused)
        let keyGradient = MatrixPlace(gradientRows + column.key, stride: fused)
        let valueGradient = MatrixPlace(gradientRows + column.value, stride: fused)
        let logSum = logSums.pointer + (sequence * shape.heads + head) * time
        for first in starts {
          let end = min(time, first + block)
          let (queries, keys) = (end - first, keys(upTo: end))
          let query = MatrixPlace(rows + first * fused + column.query, stride: fused)
          let queryGradient = MatrixPlace(gradientRows + first * fused + column.query, stride: fused)
          let place = (sequence * time + first) * outputWidth + head * width
          let result = MatrixPlace(output.pointer + place, stride: outputWidth)
          let upstream = MatrixPlace(dy.pointer + place, stride: outputWidth)
          let keyBeta = end == time && head % group == 0 ? beta : 1
          ck_row_dots(upstream.start, result.start, queries, width, outputWidth, delta.pointer)
          multiply(queries, keys, width, query, key, bTransposed: true, beta: 0, into: panel)
          multiply(queries, keys, width, upstream, value, bTransposed: true, beta: 0, into: slope)
          ck_attention_backward(
            panel.start, slope.start, queries, keys, panelStride, causal ? 1 : 0, first, scale, logSum + first,
            delta.pointer)
          multiply(keys, width, queries, panel, aTransposed: true, upstream, beta: keyBeta, into: valueGradient)
          multiply(keys, width, queries, slope, aTransposed: true, query, beta: keyBeta, into: keyGradient)
          multiply(queries, width, keys, slope, key, beta: beta, into: queryGradient)
        }
      }
    }
  }
}
