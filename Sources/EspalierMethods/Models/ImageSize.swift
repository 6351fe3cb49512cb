public import EspalierNN
import EspalierTensor

/// The size of the images that a model reads; what is 0 is the data's.
public struct ImageSize: Settings {
  public var channels = 0
  public var height = 0
  public var width = 0
  public init() {}

  public static let fields: [SettingField] = [
    SettingField("channels", unit: "channels", "Channels of an image; 0 = the data's."),
    SettingField("height", unit: "pixels", "Rows of an image; 0 = the data's."),
    SettingField("width", unit: "pixels", "Columns of an image; 0 = the data's."),
  ]

  var pixels: Int { channels * height * width }

  /// With what the data decide.
  /// - Throws: `ModelError` where the data are no images of this size.
  func completed(for data: DataDescription, model: String) throws -> ImageSize {
    guard data.features > 0 else {
      throw ModelError(
        "data", "\(model) reads images and this data set has tokens", remedy: "use the model 'decoder'")
    }
    var size = self
    let sizes = data.shape.dimensions
    if sizes.count == 3 {
      if size.channels == 0 { size.channels = sizes[0] }
      if size.height == 0 { size.height = sizes[1] }
      if size.width == 0 { size.width = sizes[2] }
      guard [size.channels, size.height, size.width] == sizes else {
        throw ModelError(
          "image", "images of \(size.channels) · \(size.height) · \(size.width) are not the data's \(data.shape)",
          remedy: "leave it out to take the data's")
      }
    }
    let each = [size.channels, size.height, size.width]
    // Each by itself first: the product of three numbers of any size may not be counted.
    guard each.allSatisfy({ (1...data.features).contains($0) }), size.pixels == data.features else {
      throw ModelError(
        "image", "samples of shape \(data.shape) are no images of \(size.channels) · \(size.height) · \(size.width)",
        remedy: "use data of images, or write channels, height and width whose product is \(data.features)")
    }
    return size
  }
}

/// The rows of a head for the classes of the data.
/// - Throws: `ModelError` where they are too few.
func headRows(_ classes: Int, for data: DataDescription) throws -> Int {
  let rows = classes == 0 ? data.classes : classes
  guard rows >= data.classes else {
    throw ModelError(
      "classes", "\(rows) rows cannot hold the data's \(data.classes) classes",
      remedy: "write 0 for the data's, or more")
  }
  return rows
}

extension Batch {
  /// The pixels of a batch of images.
  func pixels(for model: String) -> (values: [Float], samples: Int) {
    guard case .features(let values, let shape) = inputs else {
      fatalError("\(model) reads images; this batch has tokens")
    }
    return (values, shape[0])
  }
}
