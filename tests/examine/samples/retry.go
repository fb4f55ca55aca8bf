package retry

import (
	"errors"
	"time"
)

// Do calls work until it succeeds or the attempts are used up.
func Do(attempts int, pause time.Duration, work func() error) error {
	err := errors.New("no attempt was made")
	for i := 0; i < attempts; i++ {
		if err = work(); err == nil {
			return nil
		}
		time.Sleep(pause)
	}
	return err
}
