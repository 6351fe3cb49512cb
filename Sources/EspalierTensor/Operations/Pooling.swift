import CKernels

extension Tensor {
  /// The mean of each channel: [samples, channels, height, width] → [samples, channels].
  public func globalAveragePool() -> Tensor {
    require(shape.dimensions.count == 4, "a pool reads [samples, channels, height, width], not \(shape)")
    let planes = shape[0] * shape[1], area = shape[2] * shape[3]
    require(area > 0, "images of \(shape) have no element to pool")
    let output = tape.pool.storage(count: planes)
    ck_plane_means(pointer, planes, area, output.pointer)
    let x = place
    return tape.record(output, [shape[0], shape[1]], inputs: [self]) { dy, gradients in
      gradients.add(to: x) { ck_plane_means_backward(dy.pointer, planes, area, $1, $0) }
    }
  }

  /// The largest element of each window of `size` · `size`: [samples, channels, height, width] → [samples, channels, height', width'],
  /// where height' = (height + 2·padding − size) / stride + 1, rounded down. What pads an image is never the largest. The gradient goes
  /// to the first largest. NaN stays NaN.
  /// - Parameter stride: from one window to the next; nil for `size`.
  /// - Precondition: a window lies within the padded image, and at least half of it within the image.
  public func maxPool2D(_ size: Int, stride: Int? = nil, padding: Int = 0) -> Tensor {
    require(shape.dimensions.count == 4, "a pool reads [samples, channels, height, width], not \(shape)")
    let (height, width) = (shape[2], shape[3]), stride = stride ?? size
    require(
      size > 0 && stride > 0 && padding >= 0 && 2 * padding <= size,
      "windows of \(size), \(stride) apart and padded by \(padding), have no meaning")
    require(
      height + 2 * padding >= size && width + 2 * padding >= size, "windows of \(size) do not lie within \(shape)")
    let windows = ck_pool_shape(
      planes: shape[0] * shape[1], height: height, width: width, size: size, stride: stride, padding: padding,
      out_height: (height + 2 * padding - size) / stride + 1, out_width: (width + 2 * padding - size) / stride + 1)
    let result: Shape = [shape[0], shape[1], windows.out_height, windows.out_width]
    let output = tape.pool.storage(count: result.count)
    ck_max_pool(pointer, windows, output.pointer)
    let x = self
    return tape.record(output, result, inputs: [self]) { dy, gradients in
      gradients.add(to: x) { ck_max_pool_backward(x.pointer, dy.pointer, windows, $1, $0) }
    }
  }

  /// The mean over the rows of each sample: [samples, rows, width] → [samples, width].
  public func meanOverRows() -> Tensor {
    require(shape.dimensions.count == 3 && shape[1] > 0, "a mean over rows reads [samples, rows, width], not \(shape)")
    let (samples, rows, width) = (shape[0], shape[1], shape[2])
    let output = tape.pool.storage(count: samples * width), share = 1 / Float(rows)
    for row in 0..<samples * rows {
      let sum = output.pointer + row / rows * width
      ck_scale(pointer + row * width, share, row.isMultiple(of: rows) ? 0 : 1, sum, width)
    }
    let x = place
    return tape.record(output, [samples, width], inputs: [self]) { dy, gradients in
      gradients.add(to: x) { destination, beta in
        for row in 0..<samples * rows {
          ck_scale(dy.pointer + row / rows * width, share, beta, destination + row * width, width)
        }
      }
    }
  }
}
