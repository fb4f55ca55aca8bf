import 'dart:async';

/// Counts ticks.
class Counter {
  int _ticks = 0;

  Stream<int> count(Duration pause) async* {
    while (true) {
      await Future.delayed(pause);
      yield ++_ticks;
    }
  }
}
