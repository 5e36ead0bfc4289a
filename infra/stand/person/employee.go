package person

import (
	"context"
	"fmt"
	"net/http"
)

// AnswerTask opens the link of a task's mail as the employee it was sent to, has
// the code mailed, types it, reads what the task asks and gives the answer that choose
// takes from the page.
func (p *Person) AnswerTask(ctx context.Context, link string, choose func(task *Page) (answer string)) (*Page, error) {
	task, err := p.unlock(ctx, link)
	if err != nil {
		return nil, err
	}
	form, err := task.Form("answer")
	if err != nil {
		return nil, err
	}
	done, err := form.fill(ctx, map[string][]string{"answer": {choose(task)}})
	if err != nil {
		return nil, err
	}
	if done.Status != http.StatusOK {
		return nil, done.unexpected("does not take the answer")
	}
	return done, nil
}

// Work answers every task that is mailed to the employee until ctx ends, which is
// no error.
func (p *Person) Work(ctx context.Context, choose func(task *Page) (answer string)) error {
	for {
		_, link, err := p.Mail(ctx, "/task")
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := p.AnswerTask(ctx, link, choose); err != nil && ctx.Err() == nil {
			return fmt.Errorf("answering a task: %w", err)
		}
	}
}
