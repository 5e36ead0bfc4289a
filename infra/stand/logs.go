package stand

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// Logs writes every line of every log group of the account, each behind the
// name of its group: what the functions logged, and what the API's access log holds.
func (s *Stand) Logs(ctx context.Context, to io.Writer) error {
	client := cloudwatchlogs.NewFromConfig(s.Config)
	groups := cloudwatchlogs.NewDescribeLogGroupsPaginator(client, &cloudwatchlogs.DescribeLogGroupsInput{})
	for groups.HasMorePages() {
		page, err := groups.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("listing the log groups: %w", err)
		}
		for _, group := range page.LogGroups {
			name := aws.ToString(group.LogGroupName)
			lines := cloudwatchlogs.NewFilterLogEventsPaginator(client, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group.LogGroupName})
			for lines.HasMorePages() {
				page, err := lines.NextPage(ctx)
				if err != nil {
					return fmt.Errorf("reading the log group %s: %w", name, err)
				}
				for _, e := range page.Events {
					if _, err := fmt.Fprintf(to, "%s %s\n", name, strings.TrimRight(aws.ToString(e.Message), "\n")); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}
