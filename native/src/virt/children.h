// The domains and pools that JavaScript got from one connection: closing the connection frees them all, for each
// of them alone would keep its socket open. JavaScript thread only.
#pragma once

#include <memory>
#include <set>

namespace ferry {

class Child {
 public:
  virtual ~Child() = default;
  virtual void Drop() = 0;
};

class Children {
 public:
  void Add(Child* child) { all_.insert(child); }
  void Remove(Child* child) { all_.erase(child); }
  void DropAll() {
    const std::set<Child*> all = std::move(all_);
    all_.clear();
    for (Child* child : all) child->Drop();
  }

 private:
  std::set<Child*> all_;
};

using ChildrenRef = std::shared_ptr<Children>;

}  // namespace ferry
