// Intrusive lists: a request is in a queue by pointers of its own, so that queueing never allocates.
#pragma once

namespace ringside::engine {

// A first-in first-out queue of T linked through T::*Next.
template <typename T, T* T::* Next>
class Queue {
  public:
    bool empty() const { return head_ == nullptr; }
    T* front() const { return head_; }

    void push(T& item) {
        item.*Next = nullptr;
        if (head_ == nullptr) {
            head_ = &item;
        } else {
            tail_->*Next = &item;
        }
        tail_ = &item;
    }

    void push_front(T& item) {
        item.*Next = head_;
        if (head_ == nullptr) tail_ = &item;
        head_ = &item;
    }

    // Puts all items of another queue behind this one's.
    void append(const Queue& more) {
        if (more.head_ == nullptr) return;
        (head_ == nullptr ? head_ : tail_->*Next) = more.head_;
        tail_ = more.tail_;
    }

    T* pop() {
        T* item = head_;
        if (item != nullptr) {
            head_ = item->*Next;
            item->*Next = nullptr;
        }
        return item;
    }

    // Takes `item` out, wherever it stands. Returns whether it was in the queue. Linear: for rare use.
    bool remove(T& item) {
        T* before = nullptr;
        for (T* at = head_; at != nullptr; before = at, at = at->*Next) {
            if (at != &item) continue;
            (before == nullptr ? head_ : before->*Next) = item.*Next;
            if (tail_ == &item) tail_ = before;
            item.*Next = nullptr;
            return true;
        }
        return false;
    }

    // Takes all items, in order; the queue is empty afterwards.
    Queue take_all() {
        Queue all = *this;
        head_ = tail_ = nullptr;
        return all;
    }

  private:
    T* head_ = nullptr;
    T* tail_ = nullptr;
};

// The link of a doubly linked list: an item can leave from anywhere in constant time.
struct ListNode {
    ListNode* previous = nullptr;
    ListNode* next = nullptr;

    bool linked() const { return next != nullptr; }

    void unlink() {
        previous->next = next;
        next->previous = previous;
        previous = next = nullptr;
    }
};

// The item of which `node` is the member T::*Node. T is standard layout wherever this is used.
template <typename T, ListNode T::* Node>
T* item_of(ListNode* node) {
    const auto offset = reinterpret_cast<char*>(&(reinterpret_cast<T*>(64)->*Node)) - reinterpret_cast<char*>(64);
    return reinterpret_cast<T*>(reinterpret_cast<char*>(node) - offset);
}

// A doubly linked list of T through its member T::*Node. The list object itself is the ring's anchor and must not move
// while it has items.
template <typename T, ListNode T::* Node>
class List {
  public:
    List() { clear(); }
    List(const List&) = delete;
    List& operator=(const List&) = delete;

    void clear() { anchor_.previous = anchor_.next = &anchor_; }
    bool empty() const { return anchor_.next == &anchor_; }
    T* first() { return at(anchor_.next); }
    T* last() { return at(anchor_.previous); }
    T* after(T& item) { return at((item.*Node).next); }

    void push_back(T& item) { insert(item, anchor_.previous); }
    void push_front(T& item) { insert(item, &anchor_); }

    void remove(T& item) { (item.*Node).unlink(); }

    // Puts `item` behind `before`; null means in front of all.
    void insert_after(T& item, T* before) { insert(item, before == nullptr ? &anchor_ : &(before->*Node)); }

  private:
    void insert(T& item, ListNode* before) {
        ListNode& node = item.*Node;
        node.previous = before;
        node.next = before->next;
        before->next->previous = &node;
        before->next = &node;
    }

    T* at(ListNode* node) { return node == &anchor_ ? nullptr : item_of<T, Node>(node); }

    ListNode anchor_;
};

// The same in the size of a pointer, for where there are many lists: the items stand in a circle, and the list knows
// the last of them. An item is taken out by its list alone. All zeros is an empty one, and it may be moved.
template <typename T, ListNode T::* Node>
class Circle {
  public:
    bool empty() const { return last_ == nullptr; }
    T* first() { return empty() ? nullptr : item_of<T, Node>(last_->next); }
    T* after(T& item) { return &(item.*Node) == last_ ? nullptr : item_of<T, Node>((item.*Node).next); }

    void push_front(T& item) {
        ListNode& node = item.*Node;
        if (empty()) {
            node.previous = node.next = last_ = &node;
            return;
        }
        node.previous = last_;
        node.next = last_->next;
        node.next->previous = last_->next = &node;
    }

    void push_back(T& item) {
        push_front(item);
        last_ = &(item.*Node);
    }

    void remove(T& item) {
        ListNode& node = item.*Node;
        if (last_ == &node) last_ = node.previous == &node ? nullptr : node.previous;
        node.unlink();
    }

  private:
    ListNode* last_ = nullptr;
};

}  // namespace ringside::engine
