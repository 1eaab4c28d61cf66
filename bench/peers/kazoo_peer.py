"""kazoo's lock as a contender: told by lines of JSON what to do, answers each with how long it took."""

import json
import queue
import sys
import threading
import time

from kazoo.client import KazooClient

PATIENCE = 300


class Crowd:
    """Two sessions: the first holder's, and that of all who wait, each waiter a thread of its own."""

    def __init__(self, peer, path, waiters):
        self.path = path
        self.holders = peer.connect()
        self.waiters = peer.connect()
        self.granted = queue.SimpleQueue()
        self.draining = False
        self.waiting = 0
        self.held = self.holders.Lock(path)
        self.held.acquire()
        for _ in range(waiters):
            self.join()

    def join(self):
        self.waiting += 1
        threading.Thread(target=self.wait, daemon=True).start()

    def wait(self):
        try:
            lock = self.waiters.Lock(self.path)
            lock.acquire()
            since = time.perf_counter_ns()
            if self.draining:
                lock.release()
            self.granted.put((since, lock))
        except Exception as error:  # told to whoever waits for a grant
            self.granted.put((None, error))

    def pass_on(self, times):
        started = time.perf_counter_ns()
        self.held.release()
        last, self.held = 0, None
        for _ in range(times):
            since, lock = self.granted.get(timeout=PATIENCE)
            if since is None:
                raise lock
            last, self.held = max(last, since), lock
        self.waiting -= times
        return last - started

    def drain(self):
        self.draining = True
        return self.pass_on(self.waiting)

    def disperse(self):
        for client in (self.holders, self.waiters):
            client.stop()
            client.close()


class Peer:
    def connect(self):
        client = KazooClient(hosts=self.address, timeout=self.session)
        client.start(timeout=60)
        return client

    def open(self, order):
        self.address = order["address"]
        self.session = order["session_millis"] / 1000
        self.client = self.connect()
        # A lock looks for its directory when it is used first, so it is kept.
        self.locks, self.tries = {}, {}

    def lock(self, locks, path):
        if path not in locks:
            locks[path] = self.client.Lock(path)
        return locks[path]

    def acquire(self, order):
        self.held = self.lock(self.locks, order["lock"])
        started = time.perf_counter_ns()
        self.held.acquire()
        return time.perf_counter_ns() - started

    def release(self, order):
        started = time.perf_counter_ns()
        self.held.release()
        return time.perf_counter_ns() - started

    def attempt(self, order):
        lock = self.lock(self.tries, order["lock"])
        started = time.perf_counter_ns()
        if lock.acquire(blocking=False):
            raise RuntimeError("took a lock that is held")
        return time.perf_counter_ns() - started

    def gather(self, order):
        self.crowd = Crowd(self, order["lock"], order["count"])

    def hand_over(self, order):
        return self.crowd.pass_on(1)

    def join(self, order):
        self.crowd.join()

    def drain(self, order):
        return self.crowd.drain()

    def disperse(self, order):
        self.crowd.disperse()

    def independent(self, order):
        start = threading.Barrier(order["count"] + 1)
        failures = []

        def use(number):
            try:
                lock = self.lock(self.locks, f"{order['lock']}/{number}")
                lock.acquire()
                lock.release()
                start.wait()
                for _ in range(order["cycles"]):
                    lock.acquire()
                    lock.release()
            except Exception as error:  # told below
                failures.append(error)
                start.abort()

        threads = [threading.Thread(target=use, args=(number,), daemon=True) for number in range(order["count"])]
        for thread in threads:
            thread.start()
        start.wait()
        started = time.perf_counter_ns()
        for thread in threads:
            thread.join()
        took = time.perf_counter_ns() - started
        if failures:
            raise failures[0]
        return took

    def cold_start(self, order):
        started = time.perf_counter_ns()
        client = self.connect()
        lock = client.Lock(order["lock"])
        lock.acquire()
        took = time.perf_counter_ns() - started
        lock.release()
        client.stop()
        client.close()
        return took


def main():
    # Many threads that wait, each with little to keep.
    threading.stack_size(256 * 1024)
    peer = Peer()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"nanos": getattr(peer, order["do"])(order) or 0}
        except Exception as error:  # whoever asked decides what it means
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
