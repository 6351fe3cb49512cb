import CKernels

extension Tensor {
  /// The sum of two tensors of one shape; the gradient passes to both without a copy.
  public static func + (a: Tensor, b: Tensor) -> Tensor {
    precondition(a.shape == b.shape, "cannot add \(b.shape) to \(a.shape)")
    let output = a.tape.pool.storage(count: a.count)
    ck_add(a.pointer, b.pointer, output.pointer, a.count)
    let (left, right) = (a.place, b.place)
    return a.tape.record(output, a.shape, inputs: [a, b]) { dy, gradients in
      gradients.pass(dy, to: left)
      gradients.pass(dy, to: right)
    }
  }

  /// factor · x.
  public func scaled(by factor: Float) -> Tensor {
    let output = tape.pool.storage(count: count)
    ck_scale(pointer, factor, 0, output.pointer, count)
    let x = place
    return tape.record(output, shape, inputs: [self]) { dy, gradients in
      gradients.add(to: x) { ck_scale(dy.pointer, factor, $1, $0, dy.count) }
    }
  }

  /// Learned positions: out[b·time + t] = x[b·time + t] + table[firstPosition + t].
  ///
  /// x [batch·time, width], `table` [positions, width] → the shape of x. The table's gradient adds sequence by sequence.
  /// - Precondition: `time` divides the rows; the positions lie within the table.
  public func adding(rows table: Tensor, time: Int, firstPosition: Int = 0) -> Tensor {
    let width = shape.columns
    precondition(
      table.shape.dimensions.count == 2 && table.shape[1] == width, "rows of \(table.shape) do not fit rows of \(shape)")
    precondition(
      firstPosition >= 0 && time >= 0 && firstPosition + time <= table.shape[0],
      "positions \(firstPosition) ..< \(firstPosition + time) are outside a table of \(table.shape[0])")
    precondition(time == 0 ? shape.rows == 0 : shape.rows % time == 0, "\(shape.rows) rows do not divide by \(time)")
    let stretch = time * width
    let output = tape.pool.storage(count: count)
    for start in stride(from: 0, to: count, by: max(1, stretch)) {
      ck_add(pointer + start, table.pointer + firstPosition * width, output.pointer + start, stretch)
    }
    let (x, tablePlace) = (place, table.place)
    return tape.record(output, shape, inputs: [self, table]) { dy, gradients in
      gradients.add(to: tablePlace) { destination, beta in
        if beta == 0 { destination.update(repeating: 0, count: tablePlace.count) }
        let rows = destination + firstPosition * width
        for start in stride(from: 0, to: dy.count, by: max(1, stretch)) { ck_add(rows, dy.pointer + start, rows, stretch) }
      }
      gradients.pass(dy, to: x)
    }
  }
}
