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

  /// The largest element of each window of `size` · `size`: [samples, channels, height, width] → [samples, channels, height/size,
  /// width/size], rounded down. The gradient goes to the first largest. NaN stays NaN.
  /// - Precondition: a window lies within the image.
  public func maxPool2D(_ size: Int) -> Tensor {
    require(shape.dimensions.count == 4, "a pool reads [samples, channels, height, width], not \(shape)")
    let planes = shape[0] * shape[1], (height, width) = (shape[2], shape[3])
    require(size > 0 && height >= size && width >= size, "windows of \(size) do not lie within \(shape)")
    let result: Shape = [shape[0], shape[1], height / size, width / size]
    let output = tape.pool.storage(count: result.count)
    ck_max_pool(pointer, planes, height, width, size, output.pointer)
    let x = self
    return tape.record(output, result, inputs: [self]) { dy, gradients in
      gradients.add(to: x) { ck_max_pool_backward(x.pointer, dy.pointer, planes, height, width, size, $1, $0) }
    }
  }
}
