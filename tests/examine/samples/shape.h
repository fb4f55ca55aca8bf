#pragma once
#include <memory>

namespace shapes {

// Everything that has an area.
class Shape {
 public:
  virtual ~Shape() = default;
  virtual double area() const = 0;
};

template <typename T>
std::unique_ptr<Shape> make_shape(T size) {
  return std::make_unique<T>(size);
}

}  // namespace shapes
