import CKernels

extension Tensor {
  /// The rows of a table: out[i] = table[indices[i]].
  ///
  /// table [vocabulary, width] → [indices.count, width]. The gradient adds the rows in the order of the indices.
  /// - Precondition: every index is in 0 ..< vocabulary.
  public func embedding(of indices: Indices) -> Tensor {
    precondition(shape.dimensions.count == 2, "an embedding reads a table of rows, not \(shape)")
    let (vocabulary, width) = (shape[0], shape[1])
    for (position, index) in indices.values.enumerated() where index < 0 || Int(index) >= vocabulary {
      preconditionFailure("index \(index) at \(position) is outside a table of \(vocabulary) rows")
    }
    let output = tape.pool.storage(count: indices.count * width)
    ck_gather_rows(pointer, indices.values, indices.count, width, output.pointer)
    let table = place
    return tape.record(output, [indices.count, width], inputs: [self]) { dy, gradients in
      gradients.add(to: table) { destination, beta in
        if beta == 0 { destination.update(repeating: 0, count: table.count) }
        ck_scatter_add_rows(dy.pointer, indices.values, indices.count, width, destination)
      }
    }
  }
}
