// A pool of threads with one queue, of the usual kind.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

namespace bench {

class Pool {
  public:
    explicit Pool(unsigned threads) {
        for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
    }
    ~Pool() {
        {
            const std::lock_guard guard(mutex_);
            ended_ = true;
        }
        posted_.notify_all();
        for (auto& thread : threads_) thread.join();
    }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    void post(std::function<void()> job) {
        {
            const std::lock_guard guard(mutex_);
            jobs_.push(std::move(job));
            ++unfinished_;
        }
        posted_.notify_one();
    }
    void wait_for_all() {
        std::unique_lock guard(mutex_);
        finished_.wait(guard, [this] { return unfinished_ == 0; });
    }

  private:
    void work() {
        std::unique_lock guard(mutex_);
        for (;;) {
            posted_.wait(guard, [this] { return ended_ || !jobs_.empty(); });
            if (ended_) return;
            const auto job = std::move(jobs_.front());
            jobs_.pop();
            guard.unlock();
            job();
            guard.lock();
            if (--unfinished_ == 0) finished_.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable posted_, finished_;
    std::queue<std::function<void()>> jobs_;
    unsigned unfinished_ = 0;
    bool ended_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace bench
