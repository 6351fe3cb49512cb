import CKernels

extension Tensor {
  /// The same elements under another shape, without a copy.
  /// - Precondition: the counts agree.
  public func reshaped(_ shape: Shape) -> Tensor {
    precondition(shape.count == count, "\(self.shape) does not reshape into \(shape)")
    let x = place
    return tape.record(storage, shape, inputs: [self]) { dy, gradients in gradients.pass(dy, to: x) }
  }

  /// A copy of some rows: x [rows, columns] → [range.count, columns].
  /// - Precondition: the range lies within the rows.
  public func rows(_ range: Range<Int>) -> Tensor {
    precondition(range.lowerBound >= 0 && range.upperBound <= shape.rows, "rows \(range) are outside \(shape)")
    let columns = shape.columns
    let output = tape.pool.storage(count: range.count * columns)
    let (start, end) = (range.lowerBound * columns, range.upperBound * columns)
    output.pointer.update(from: pointer + start, count: end - start)
    let x = place
    return tape.record(output, [range.count, columns], inputs: [self]) { dy, gradients in
      gradients.add(to: x) { destination, beta in
        if beta == 0 {
          destination.update(repeating: 0, count: start)
          (destination + end).update(repeating: 0, count: x.count - end)
        }
        ck_scale(dy.pointer, 1, beta, destination + start, end - start)
      }
    }
  }

  /// A copy of some columns: x [rows, columns] → [rows, range.count], more leading dimensions kept.
  /// - Precondition: the range lies within the columns.
  public func columns(_ range: Range<Int>) -> Tensor {
    let (rows, columns) = (shape.rows, shape.columns)
    precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) are outside \(shape)")
    let output = tape.pool.storage(count: rows * range.count)
    for row in 0..<rows {
      (output.pointer + row * range.count).update(
        from: pointer + row * columns + range.lowerBound, count: range.count)
    }
    let x = place
    return tape.record(output, Shape(shape.dimensions.dropLast() + [range.count]), inputs: [self]) { dy, gradients in
      gradients.add(to: x) { destination, beta in
        if beta == 0 { destination.update(repeating: 0, count: x.count) }
        for row in 0..<rows {
          ck_scale(
            dy.pointer + row * range.count, 1, beta, destination + row * columns + range.lowerBound, range.count)
        }
      }
    }
  }

  /// Tensors side by side: [rows, a], [rows, b], … → [rows, a + b + …]; leading dimensions are those of the first.
  /// - Precondition: at least one tensor; all have the same number of rows.
  public static func concatenated(_ tensors: [Tensor]) -> Tensor {
    guard let first = tensors.first else { preconditionFailure("nothing to concatenate") }
    let rows = first.shape.rows
    for tensor in tensors {
      precondition(tensor.shape.rows == rows, "\(tensor.shape) does not stand beside \(first.shape)")
    }
    let widths = tensors.map(\.shape.columns)
    let total = widths.reduce(0, +)
    let output = first.tape.pool.storage(count: rows * total)
    var offset = 0
    for (tensor, width) in zip(tensors, widths) {
      for row in 0..<rows {
        (output.pointer + row * total + offset).update(from: tensor.pointer + row * width, count: width)
      }
      offset += width
    }
    let places = tensors.map(\.place)
    return first.tape.record(
      output, Shape(first.shape.dimensions.dropLast() + [total]), inputs: tensors
    ) { dy, gradients in
      var offset = 0
      for (tensor, width) in zip(places, widths) {
        gradients.add(to: tensor) { destination, beta in
          for row in 0..<rows {
            ck_scale(dy.pointer + row * total + offset, 1, beta, destination + row * width, width)
          }
        }
        offset += width
      }
    }
  }
}
